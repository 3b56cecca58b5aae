"""Settings of an experiment: frozen values with defaults, checked when made, changed by name from the command line."""

import math
import types
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints

from engine.errors import EngineError

if TYPE_CHECKING:
    from training.task import Task

__all__ = ["Data", "Optim", "Recipe", "RecipeError", "TaskSettings", "describe", "with_values"]


class RecipeError(EngineError, ValueError):
    """A recipe that cannot be run as it stands: change the value that the message names."""


def _check(name: str, value: float, low: float, high: float = math.inf) -> None:
    if not low <= value <= high:
        raise RecipeError(f"got {name} {value}, wanted {low}..{high}")


@dataclass(frozen=True, kw_only=True)
class Optim:
    """Adam and its learning rate over time.

    Args:
        lr: highest learning rate.
        critic_lr: the same for discriminators; None is `lr`.
        betas, eps: Adam's; the defaults are those of the published latent GAN.
        warmup: steps over which the rate rises from `start`.
        decay: steps at the end over which it falls to `floor`; 0 keeps it constant.
        fall: along half a cosine, or a line.
        start, floor: shares of `lr` at the beginning of the rise and the end of the fall.
        clip: greatest norm of a gradient of one optimiser; 0 leaves gradients alone.
        average: decay of the moving average of weights.
    """

    lr: float = 1e-4
    critic_lr: float | None = None
    betas: tuple[float, float] = (0.5, 0.999)
    eps: float = 1e-7
    warmup: int = 0
    decay: int = 0
    fall: Literal["cosine", "linear"] = "cosine"
    start: float = 0.0
    floor: float = 0.0
    clip: float = 0.0
    average: float = 0.999

    def __post_init__(self) -> None:
        _check("optim.lr", self.lr, 0.0, 1.0)
        for name in ("average", "start", "floor"):
            _check(f"optim.{name}", getattr(self, name), 0.0, 1.0)
        for name in ("warmup", "decay", "clip"):
            _check(f"optim.{name}", getattr(self, name), 0)
        for beta in self.betas:
            _check("optim.betas", beta, 0.0, 1.0)

    def scale(self, step: int, steps: int) -> float:
        """Share of the learning rate that holds at `step` of `steps`: a pure function, so resuming needs no state."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        rise = self.start + (1.0 - self.start) * rise
        left = min(1.0, max(0.0, (steps - step) / self.decay)) if self.decay else 1.0
        height = left if self.fall == "linear" else 0.5 - 0.5 * math.cos(math.pi * left)
        return rise * max(self.floor, height)


@dataclass(frozen=True, kw_only=True)
class Data:
    """The music to train on.

    Args:
        folder: a folder of sound files, searched with all below it (or one file); empty means composed pieces.
        pieces: how many pieces to compose.
        bars: length of each, in bars of four beats.
        genres: of composed pieces, in turn.
        seed: of composed pieces.
        valid: share of pieces held out for measuring, never trained on.
        cache: folder for what is computed once from sound: samples at the model's rate, latents.
        workers: threads that make batches ahead of time; 0 makes each when it is needed.
    """

    folder: str = ""
    pieces: int = 64
    bars: int = 16
    genres: tuple[Literal["techno", "ambient"], ...] = ("techno", "ambient")
    seed: int = 0
    valid: float = 0.05
    cache: str = "runs/cache"
    workers: int = 2

    def __post_init__(self) -> None:
        _check("data.pieces", self.pieces, 1)
        _check("data.bars", self.bars, 1)
        _check("data.seed", self.seed, 0)
        _check("data.valid", self.valid, 0.0, 0.9)
        _check("data.workers", self.workers, 0, 64)
        if not self.folder and not self.genres:
            raise RecipeError("got no data.folder and no data.genres, wanted one of them")


class TaskSettings(Protocol):
    """A frozen dataclass of values that can make its task."""

    def build(self, recipe: "Recipe") -> "Task":
        """Networks, optimisers and data of the task; random weights come from torch's global state."""
        ...


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One experiment.

    Args:
        task: what is trained, and how.
        data, optim: see there.
        steps: training steps in all.
        batch: items in a step, of each process.
        seed: of weights, data order and noise.
        precision: "auto" is bf16-mixed where the device has it.
        log_every, save_every, preview_every, evaluate_every: steps; 0 is never (a checkpoint is always saved last).
        keep: checkpoints kept; older ones are removed.
    """

    task: TaskSettings
    data: Data = field(default_factory=Data)
    optim: Optim = field(default_factory=Optim)
    steps: int
    batch: int
    seed: int = 0
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    log_every: int = 50
    save_every: int = 1000
    preview_every: int = 5000
    evaluate_every: int = 5000
    keep: int = 3

    def __post_init__(self) -> None:
        _check("steps", self.steps, 1)
        _check("batch", self.batch, 1)
        _check("seed", self.seed, 0)
        _check("keep", self.keep, 1)
        for name in ("log_every", "save_every", "preview_every", "evaluate_every"):
            _check(name, getattr(self, name), 0)


def describe(value: Any) -> Any:
    """A recipe as JSON values, for the record; each dataclass says its name under "kind"."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"kind": type(value).__name__} | {f.name: describe(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [describe(item) for item in value]
    return value


def _parse(text: str, kind: Any, path: str) -> Any:
    """`text` as a value of annotation `kind`."""
    origin, options = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if text == "none" and type(None) in options:
            return None
        return _parse(text, next(option for option in options if option is not type(None)), path)
    if origin is tuple:
        parts = [part.strip() for part in text.strip("()").split(",") if part.strip()]
        inner = [options[0]] * len(parts) if options[-1] is Ellipsis else list(options)
        if len(inner) != len(parts):
            raise RecipeError(f"got {path}={text}, wanted {len(inner)} values separated by commas")
        return tuple(_parse(part, each, path) for part, each in zip(parts, inner, strict=True))
    if origin is Literal:
        for option in options:
            if str(option) == text:
                return option
        raise RecipeError(f"got {path}={text}, wanted one of {', '.join(map(str, options))}")
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise RecipeError(f"got {path}={text}, wanted true or false")
        return text.lower() == "true"
    if kind in (int, float, str):
        try:
            return kind(text)
        except ValueError:
            raise RecipeError(f"got {path}={text}, wanted a value like {kind.__name__}") from None
    raise RecipeError(f"{path} cannot be set from the command line: write a recipe")


def _set(value: Any, names: Sequence[str], text: str, path: str) -> Any:
    if not is_dataclass(value) or isinstance(value, type) or names[0] not in {f.name for f in fields(value)}:
        known = ", ".join(f.name for f in fields(value)) if is_dataclass(value) else "nothing below it"
        raise RecipeError(f"got {path}, which a recipe does not have: '{names[0]}' should be one of {known}")
    old = getattr(value, names[0])
    if len(names) > 1:
        return replace(value, **{names[0]: _set(old, names[1:], text, path)})
    return replace(value, **{names[0]: _parse(text, get_type_hints(type(value))[names[0]], path)})


def with_values(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with values replaced.

    Args:
        settings: each "path=value" such as "optim.lr=3e-4" or "optim.betas=0.9,0.999"; "none" where None is allowed.
    Raises:
        RecipeError: no such value, or not one that it can take.
    """
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise RecipeError(f"got {setting!r}, wanted path=value such as optim.lr=3e-4")
        changed = _set(recipe, path.strip().split("."), text.strip(), path.strip())
        assert isinstance(changed, Recipe)
        recipe = changed
    return recipe
