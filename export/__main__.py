"""``python -m export``: published weights to our checkpoints, our checkpoints to bundles.

python -m export import musika DIR OUT.safetensors
python -m export import getmusic CHECKPOINT DICTIONARY [OUT.safetensors]
python -m export import musicgen DIR OUT.safetensors
python -m export export MODEL CHECKPOINT.safetensors OUTDIR [--build fp32 | fp16 | int8 | int4 | best]
python -m export sources
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

__all__ = ["main", "main_export", "main_import"]

_IMPORTED: Final = {"musika": ("source",), "getmusic": ("source", "dictionary"), "musicgen": ("source",)}
"""Models whose published checkpoints are read, and what their ``convert`` is given."""

_BUILDS: Final = ("fp32", "fp16", "int8", "int4", "best")
_COMPARED: Final = {"musicgen": ("fp32", "int8", "int4")}
"""Models whose builds are compared for the best one."""

_EXPORTED: Final = ("musika", "musika_live", "getmusic", "musicgen")
"""Models that bundles are made of."""

_FILES: Final = {
    ("rename", "musicgen"): "musicgen.files",
    ("graphs", "musicgen"): "musicgen.bundle",
    ("graphs", "getmusic"): "getmusic.bundle",
}
"""Room and model to the file that does it, where that has another name."""


def _module(room: str, family: str) -> ModuleType:
    return importlib.import_module(f"export.{room}.{_FILES.get((room, family), family)}")


def main_import(argv: Sequence[str] | None = None) -> int:
    """``ripieno import``: a published checkpoint becomes one of ours."""
    parser = argparse.ArgumentParser(prog="ripieno import", description="Turn a published checkpoint into ours.")
    models = parser.add_subparsers(dest="model", required=True, metavar="MODEL")
    for model, files in _IMPORTED.items():
        words = models.add_parser(model)
        words.add_argument("source", type=Path, help="the published checkpoint, a folder or a file")
        if "dictionary" in files:
            words.add_argument("dictionary", type=Path, help="the dictionary that it was trained with")
        several = "?" if "dictionary" in files else None
        words.add_argument("out", type=Path, nargs=several, help="our checkpoint, NAME.safetensors")
    given = parser.parse_args(argv)
    out = given.out or Path(given.source.stem + ".safetensors")
    if out.suffix != ".safetensors":
        parser.error(f"OUT is '{out}', wanted a name that ends in .safetensors")
    try:
        found = [getattr(given, name) for name in _IMPORTED[given.model]]
        config, networks = _module("rename", given.model).convert(*found, out)
    except (OSError, ValueError) as error:
        print(f"ripieno import: {error}", file=sys.stderr)
        return 1
    print(f"{out}: {', '.join(networks)}")
    print(config.to_json())
    return 0


def main_export(argv: Sequence[str] | None = None) -> int:
    """``ripieno export``: a checkpoint of ours becomes a bundle of graphs."""
    parser = argparse.ArgumentParser(prog="ripieno export", description="Turn a checkpoint into a bundle of graphs.")
    parser.add_argument("model", choices=_EXPORTED)
    parser.add_argument("checkpoint", type=Path, metavar="CKPT", help="our checkpoint, NAME.safetensors")
    parser.add_argument("outdir", type=Path, metavar="OUTDIR", help="folder of the bundle, made if missing")
    shrunk = parser.add_mutually_exclusive_group()
    shrunk.add_argument(
        "--build",
        choices=_BUILDS,
        help="how weights are kept: %(choices)s; fp32 if not given, best: as plays fastest here",
    )
    shrunk.add_argument("--int8", action="store_const", const="int8", dest="build", help="whole-number products")
    shrunk.add_argument("--fp16", action="store_const", const="fp16", dest="build", help="half-size files")
    parser.set_defaults(build="fp32")
    given = parser.parse_args(argv)
    try:
        export = _module("graphs", given.model).export
        if given.build == "best":
            made, given.build = _best(given.model, export, given.checkpoint, given.outdir)
        else:
            made = export(given.checkpoint, given.outdir, given.build)
    except (OSError, ValueError) as error:
        print(f"ripieno export: {error}", file=sys.stderr)
        return 1
    print(f"{given.outdir}: {given.model} {given.build}, bundle {made.bundle}")
    for role, number in made.parity.items():
        print(f"  {role}: {made.sizes[role] / 1e6:.1f} MB, parity with torch {number:.2g} of a standard deviation")
    return 0


def _best(model: str, export: Any, checkpoint: Path, outdir: Path) -> tuple[Any, str]:
    from export.bench.fastest import MeasuredBuild, fastest
    from export.errors import WeightsError

    if model not in _COMPARED:
        raise WeightsError(f"builds are compared for {', '.join(_COMPARED)}; name one for {model}")

    def told(measured: MeasuredBuild) -> None:
        says = measured.why or f"{measured.rate:.1f} guided steps a second"
        print(f"{measured.build}: {says}", file=sys.stderr, flush=True)

    return fastest(export, checkpoint, outdir, _COMPARED[model], tell=told)


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m export``."""
    words = list(sys.argv[1:] if argv is None else argv)
    match words[:1]:
        case ["import"]:
            return main_import(words[1:])
        case ["export"]:
            return main_export(words[1:])
        case ["sources"]:
            print(importlib.import_module("export.sources").table())
            return 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    raise SystemExit(main())
