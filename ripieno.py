"""The command ``ripieno``: a table of verbs and the functions of the rooms that run them."""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["VERBS", "main"]

VERBS = {
    "live": ("bridge.__main__", "live_main", "play voices on an audio output, controlled over OSC and MIDI"),
    "accompany": (
        "bridge.band.command",
        "accompany_main",
        "a band over MIDI that plays along, one bar ahead",
    ),
    "render": ("engine.__main__", "render_main", "play a bundle into a sound file, faster than real time"),
    "infill": ("engine.cli.infill", "infill_main", "write new parts for tracks of a MIDI file"),
    "continue": ("engine.cli.continuation", "continue_main", "continue a sound file, or make sound from a text prompt"),
    "replay": ("engine.__main__", "replay_main", "render the sound of a recorded session again, bit for bit"),
    "train": ("training.__main__", "main", "train a model from a recipe"),
    "corpus": ("training.data.band.command", "corpus_main", "render band music to train on"),
    "export": ("export.__main__", "main_export", "convert trained weights to a bundle that can be played"),
    "import": ("export.__main__", "main_import", "convert published weights for export"),
    "bundles": ("engine.__main__", "bundles_main", "list the installed bundles, or describe one"),
    "devices": ("bridge.devices", "devices_main", "list audio outputs, audio inputs and MIDI inputs"),
    "addresses": ("bridge.__main__", "addresses_main", "list the OSC addresses"),
    "bench": ("engine.__main__", "bench_main", "measure the speed of models on this machine"),
    "doctor": ("bridge.doctor", "doctor_main", "check this machine and name remedies"),
}
"""Verb to (module, function, description)."""

LARGE_PAGES: Final = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
"""Read by glibc when a process starts: memory in pages of 2 MB, with which networks run about 5 % faster."""

_LONG = ("render", "continue", "bench")  # verbs whose networks run in this process for a long time

EXTRAS = {
    "torch": "train", "lightning": "train", "safetensors": "train", "tensorboard": "train",
    "onnx": "export", "h5py": "export",
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. 0: done, 1: failed (one line on stderr says why), 2: wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["--version"]:
        from importlib.metadata import version

        print(f"ripieno {version('ripieno')}")
        return 0
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print("usage: ripieno VERB [arguments]     (ripieno VERB --help lists the arguments)\n")
        print("\n".join(f"  {verb:<10} {row[2]}" for verb, row in VERBS.items()))
        return 0 if arguments else 2
    if arguments[0] not in VERBS:
        print(f"ripieno: unknown verb '{arguments[0]}'; known are {', '.join(VERBS)}", file=sys.stderr)
        return 2
    if argv is None and arguments[0] in _LONG and sys.platform == "linux" and LARGE_PAGES[0] not in os.environ:
        os.environ.update([LARGE_PAGES])
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    module, function, _ = VERBS[arguments[0]]
    from engine.errors import EngineError

    try:
        return int(getattr(importlib.import_module(module), function)(arguments[1:]))
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        print(f"ripieno {arguments[0]} needs {error.name}: {_install(extra)}", file=sys.stderr)
    except EngineError as error:
        print(f"ripieno {arguments[0]}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"ripieno {arguments[0]}: interrupted", file=sys.stderr)
    return 1


def _install(extra: str) -> str:
    """The command that installs an extra: from the clone that this file is in, if there is one."""
    folder = Path(__file__).resolve().parent
    if not (folder / "pyproject.toml").is_file():
        return f"pip install 'ripieno[{extra}]'"
    return f"{sys.executable} -m pip install -c '{folder / 'constraints.txt'}' -e '{folder}[{extra}]'"


if __name__ == "__main__":
    sys.exit(main())
