"""One onnxruntime session as a function: (inputs, state) -> outputs, the state moved on in place.

The only file of engine that imports onnxruntime, and only when a graph is opened: describing bundles stays light.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError, ManifestError, ShapeError
from engine.graphs.manifest import Manifest
from engine.graphs.metadata import MAX_FILE, manifest_in

__all__ = ["PROVIDERS", "Array", "BoundGraph", "Graph", "Port", "State", "open_graph", "session_options"]

Array = npt.NDArray[Any]
State = dict[str, Array]

_EXACT_BYTES: Final = "session.x64quantprecision"
_SHARED_WEIGHTS: Final = "Attempt to replace the existing tensor"  # what onnxruntime 1.31 says of two products of one

PROVIDERS: Final[Mapping[str, str]] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
"""What may run a graph, by the name we use; all but the processor need another onnxruntime package."""

_DTYPES: Final[Mapping[str, type]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output: its type, and its sizes (a free size has its name, or None)."""

    dtype: type
    shape: tuple[int | str | None, ...]


class Graph:
    """One loaded graph.

    Threads: `run` may be called from several threads at once, each with its own state; it lets go of the GIL.
    """

    def __init__(
        self, session: Any, manifest: Manifest, inputs: Mapping[str, Port], outputs: Mapping[str, Port]
    ) -> None:
        self._session = session
        self._names = tuple(outputs)
        self.manifest = manifest
        self.inputs = inputs
        self.outputs = outputs

    def run(self, inputs: Mapping[str, Array], state: State | None = None) -> dict[str, Array]:
        """Outputs by name, without those that are state.

        Args:
            inputs: every input that is not state.
            state: moved on in place: ``h`` is fed, then replaced by output ``h_next``. Graphs with state need it.
        Raises:
            ShapeError: inputs missing, or of another shape or type than the graph's.
        """
        feeds = dict(inputs) if state is None else {**inputs, **state}
        try:
            values = self._session.run(self._names, feeds)
        except Exception as error:
            raise ShapeError(f"{self._label()} cannot take {_shapes(feeds)}: {_first_line(error)}") from error
        outputs = dict(zip(self._names, values, strict=True))
        if self.manifest.state:
            if state is None:
                raise ShapeError(f"{self._label()} has state; give one made by empty_state")
            for name in self.manifest.state:
                state[name] = outputs.pop(f"{name}_next")
        return outputs

    def bind(
        self, inputs: Mapping[str, Array], outputs: Mapping[str, Array], state: State | None = None
    ) -> "BoundGraph":
        """The graph on arrays that stay where they are, to be run again and again without anything being made anew.

        Args:
            inputs: every input that is not state, and `outputs`: every output that is not state; both of final size.
            state: read and written in the same memory: only for graphs that are made for it.
        Raises:
            ShapeError: an array is missing or not asked for, lies scattered in memory, or has another type.
        """
        kept = state or {}
        feeds, results = {**inputs, **kept}, {**outputs, **{f"{name}_next": value for name, value in kept.items()}}
        for ports, arrays in ((self.inputs, feeds), (self.outputs, results)):
            if set(ports) != set(arrays):
                odd = sorted(set(ports) ^ set(arrays))
                raise ShapeError(f"{self._label()} is bound to too few or too many arrays: {', '.join(odd[:4])}")
            for name, array in arrays.items():
                if array.dtype != ports[name].dtype or not array.flags.c_contiguous:
                    raise ShapeError(
                        f"{self._label()} cannot be bound to {_shapes({name: array})} as it lies in memory"
                    )
        return BoundGraph(self._session, self._label(), feeds, results)

    def empty_state(self, **sizes: int) -> State:
        """Zeros for every state input; `sizes` gives a number to free sizes by name.

        Raises:
            ManifestError: a size stays free.
        """
        state: State = {}
        for name in self.manifest.state:
            port = self.inputs[name]
            shape = [sizes.get(size) if isinstance(size, str) else size for size in port.shape]
            if any(size is None for size in shape):
                raise ManifestError(f"{self._label()}: state '{name}' has free sizes {port.shape}; export it again")
            state[name] = np.zeros([size for size in shape if size is not None], port.dtype)
        return state

    def _label(self) -> str:
        return f"{self.manifest.family} {self.manifest.role}"


class BoundGraph:
    """A graph on arrays of its own: what is written into the inputs is what the next `run` takes.

    Threads: one owner; `run` lets go of the GIL.
    """

    def __init__(self, session: Any, label: str, feeds: Mapping[str, Array], results: Mapping[str, Array]) -> None:
        self._session, self._label = session, label
        self._kept = (dict(feeds), dict(results))  # the session is given addresses only: the arrays must live on
        self._binding = session.io_binding()
        for name, value in feeds.items():
            self._binding.bind_input(name, "cpu", 0, value.dtype, value.shape, value.ctypes.data)
        for name, value in results.items():
            self._binding.bind_output(name, "cpu", 0, value.dtype, value.shape, value.ctypes.data)

    def run(self) -> None:
        """Fill the outputs, and move the state on.

        Raises:
            ShapeError: the sizes of the arrays do not fit the graph.
        """
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:
            raise ShapeError(
                f"{self._label} cannot take {_shapes(self._kept[0])[:400]}: {_first_line(error)}"
            ) from error


def open_graph(path: Path, *, threads: int = 1, provider: str = "cpu") -> Graph:
    """Load one graph file. Takes up to seconds and holds the GIL: not beside sound in the same process.

    Args:
        threads: that one `run` may use; 1 gives the same bits wherever blocks are run in parallel instead.
        provider: a key of `PROVIDERS`.
    Raises:
        BundleError: the file is no graph that this onnxruntime can run, or the provider is not here.
        ManifestError: the graph does not say what it is, or a state lacks its pair.
    """
    import onnxruntime

    try:
        if path.stat().st_size > MAX_FILE:
            raise BundleError(f"{path} is larger than any graph we make; it is not one of ours")
        path.open("rb").close()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); check the bundle's folder") from None
    try:
        # By its path: a session that is given bytes keeps them all beside the weights that it has made of them.
        session = _session(path, threads, _provider(provider))
    except BundleError:
        raise
    except Exception as error:  # onnxruntime raises a type of its own for each kind of damage
        raise BundleError(
            f"{path} is not a graph that onnxruntime {onnxruntime.__version__} can run ({_first_line(error)}); "
            "fetch or export the bundle again"
        ) from None
    manifest = manifest_in(session.get_modelmeta().custom_metadata_map, path)
    inputs, outputs = _ports(path, session.get_inputs()), _ports(path, session.get_outputs())
    for name in manifest.state:
        if name not in inputs or f"{name}_next" not in outputs:
            raise ManifestError(f"{path}: state '{name}' lacks its input or its output '{name}_next'; export it again")
    return Graph(session, manifest, inputs, outputs)


def _session(path: Path, threads: int, provider: str) -> Any:
    """A session of onnxruntime, exact in 8-bit products where this processor and this graph allow it."""
    import onnxruntime

    options = session_options(threads)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[provider])
    except Exception as error:
        if _SHARED_WEIGHTS not in str(error):
            raise
    # A graph exported before each product had weights of its own: it plays as it always has on such a processor.
    options.add_session_config_entry(_EXACT_BYTES, "0")
    return onnxruntime.InferenceSession(str(path), options, providers=[provider])


def session_options(threads: int) -> Any:
    """Options of an onnxruntime session: `threads` that sleep when idle, silent, exact in 8-bit products.

    Processors with AVX2 or AVX-512 but without VNNI multiply uint8 by int8 into 16-bit sums that saturate. There
    onnxruntime keeps the weights as uint8 instead, which is slower and exact; with VNNI or AMX nothing changes.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # refusals reach the caller as errors; nothing may print over a live view
    # Idle pool threads would otherwise burn the cores that audio and control need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry(_EXACT_BYTES, "1")
    return options


def _provider(name: str) -> str:
    import onnxruntime

    if name not in PROVIDERS:
        raise BundleError(f"no provider '{name}'; there are {', '.join(PROVIDERS)}")
    here = onnxruntime.get_available_providers()
    if PROVIDERS[name] not in here:
        known = ", ".join(key for key, value in PROVIDERS.items() if value in here)
        raise BundleError(
            f"this onnxruntime has no provider '{name}', it has {known}; install the onnxruntime package that brings it"
        )
    return PROVIDERS[name]


def _ports(path: Path, specs: Sequence[Any]) -> dict[str, Port]:
    ports = {}
    for spec in specs:
        if spec.type not in _DTYPES:
            raise BundleError(f"{path}: '{spec.name}' is of type {spec.type}, which no model of ours uses")
        ports[spec.name] = Port(_DTYPES[spec.type], tuple(spec.shape))
    return ports


def _shapes(feeds: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} {value.dtype}{list(value.shape)}" for name, value in feeds.items())


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
