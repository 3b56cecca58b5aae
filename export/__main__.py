"""``ripieno import`` and ``ripieno export``: published weights to our checkpoints, our checkpoints to bundles.

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
"""Models whose published checkpoints can be read, and the arguments of their ``convert``."""

_EXAMPLES: Final = {
    "musika": ("Musika, the published Keras files (.h5) in one folder", "downloads/musika-techno techno.safetensors"),
    "getmusic": (
        "GETMusic, the published checkpoint and its dictionary",
        "downloads/checkpoint.pth downloads/dict.txt getmusic.safetensors",
    ),
    "musicgen": (
        "MusicGen, the folder of one published model; weights CC-BY-NC-4.0, not for commercial use",
        "downloads/musicgen-small small.safetensors",
    ),
}
"""Model to its description and the arguments of an example."""

_BUILDS: Final = ("fp32", "fp16", "int8", "int4", "best")
_COMPARED: Final = {"musicgen": ("fp32", "int8", "int4")}
"""Models for which ``--build best`` compares builds."""

_EXPORTED: Final = ("musika", "musika_live", "getmusic", "musicgen")
"""Models that can be exported."""

_FILES: Final = {
    ("rename", "musicgen"): "musicgen.files",
    ("graphs", "musicgen"): "musicgen.bundle",
    ("graphs", "getmusic"): "getmusic.bundle",
}
"""Folder and model to the module for it, where that is not called after the model."""


def _module(room: str, family: str) -> ModuleType:
    return importlib.import_module(f"export.{room}.{_FILES.get((room, family), family)}")


def main_import(argv: Sequence[str] | None = None) -> int:
    """``ripieno import``: convert a published checkpoint to one that ``ripieno export`` takes."""
    given, parser = _import_arguments(argv)
    out = given.out or Path(given.source.stem + ".safetensors")
    if out.suffix != ".safetensors":
        parser.error(f"OUT must end in .safetensors, got '{out}'")
    try:
        found = [getattr(given, name) for name in _IMPORTED[given.model]]
        config, networks = _module("rename", given.model).convert(*found, out)
    except (OSError, ValueError) as error:
        print(f"ripieno import: {error}", file=sys.stderr)
        return 1
    print(f"{out}: {', '.join(networks)}")
    print(config.to_json())
    return 0


def _import_arguments(argv: Sequence[str] | None) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    examples = [f"  {title}:\n    ripieno import {model} {words}" for model, (title, words) in _EXAMPLES.items()]
    parser = argparse.ArgumentParser(
        prog="ripieno import",
        description="Convert published weights to a checkpoint for ripieno export. Needs the extra 'export'.",
        epilog="\n".join(
            ["models, with an example each:", *examples, "", "where to download: python -m export sources"]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    models = parser.add_subparsers(dest="model", required=True, metavar="MODEL", help=", ".join(_IMPORTED))
    for model, files in _IMPORTED.items():
        title, words = _EXAMPLES[model]
        one = models.add_parser(model, description=f"{title}.", epilog=f"Example: ripieno import {model} {words}")
        one.add_argument("source", type=Path, metavar="SOURCE", help="published checkpoint: a folder or a file")
        if "dictionary" in files:
            one.add_argument("dictionary", type=Path, metavar="DICTIONARY", help="dictionary it was trained with")
        several = "?" if "dictionary" in files else None
        one.add_argument("out", type=Path, metavar="OUT", nargs=several, help="checkpoint to write, NAME.safetensors")
    return parser.parse_args(argv), parser


def main_export(argv: Sequence[str] | None = None) -> int:
    """``ripieno export``: convert a checkpoint to a bundle that ``ripieno live`` can play."""
    parser = argparse.ArgumentParser(
        prog="ripieno export",
        description="Convert a trained or imported checkpoint to a bundle: a folder of ONNX graphs that ripieno live "
        "and the other commands play. Needs the extra 'export'.",
        epilog="Example: ripieno export musika_live runs/musika_live_generator/generator.safetensors bundles/mine",
    )
    parser.add_argument("model", choices=_EXPORTED, help="family of the model")
    parser.add_argument("checkpoint", type=Path, metavar="CKPT", help="checkpoint, NAME.safetensors")
    parser.add_argument("outdir", type=Path, metavar="OUTDIR", help="folder of the bundle; created if missing")
    shrunk = parser.add_mutually_exclusive_group()
    shrunk.add_argument(
        "--build",
        choices=_BUILDS,
        help="number format of the weights: %(choices)s; best measures all and keeps the fastest; default fp32",
    )
    shrunk.add_argument("--int8", action="store_const", const="int8", dest="build", help="same as --build int8")
    shrunk.add_argument("--fp16", action="store_const", const="fp16", dest="build", help="same as --build fp16")
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
    print(f"{given.outdir}: {given.model} {given.build}, bundle id {made.bundle}")
    for role, number in made.parity.items():
        print(
            f"  {role}: {made.sizes[role] / 1e6:.1f} MB, largest difference from torch {number:.2g} standard deviations"
        )
    return 0


def _best(model: str, export: Any, checkpoint: Path, outdir: Path) -> tuple[Any, str]:
    from export.bench.fastest import MeasuredBuild, fastest
    from export.errors import WeightsError

    if model not in _COMPARED:
        raise WeightsError(f"--build best works for {', '.join(_COMPARED)}; choose a build for {model}")

    def report(measured: MeasuredBuild) -> None:
        says = measured.why or f"{measured.rate:.1f} guided steps per second"
        print(f"{measured.build}: {says}", file=sys.stderr, flush=True)

    return fastest(export, checkpoint, outdir, _COMPARED[model], tell=report)


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
