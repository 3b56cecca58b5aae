"""``python -m export``: published weights to our checkpoints, our checkpoints to bundles.

python -m export import musika DIR OUT.safetensors
python -m export export musika CHECKPOINT.safetensors OUTDIR [--int8 | --fp16]
python -m export sources
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

__all__ = ["main", "main_export", "main_import"]

_IMPORTED: Final = ("musika",)
"""Models whose published checkpoints are read: files in ``export.rename``."""

_EXPORTED: Final = ("musika", "musika_live")
"""Models that bundles are made of: files in ``export.graphs``."""


def _module(room: str, family: str) -> ModuleType:
    return importlib.import_module(f"export.{room}.{family}")


def main_import(argv: Sequence[str] | None = None) -> int:
    """``ripieno import``: a published checkpoint becomes one of ours."""
    parser = argparse.ArgumentParser(prog="ripieno import", description="Turn a published checkpoint into ours.")
    parser.add_argument("model", choices=_IMPORTED)
    parser.add_argument("source", type=Path, metavar="DIR", help="the published checkpoint, a folder or a file")
    parser.add_argument("out", type=Path, metavar="OUT", help="our checkpoint, NAME.safetensors")
    given = parser.parse_args(argv)
    if given.out.suffix != ".safetensors":
        parser.error(f"OUT is '{given.out}', wanted a name that ends in .safetensors")
    try:
        config, networks = _module("rename", given.model).convert(given.source, given.out)
    except (OSError, ValueError) as error:
        print(f"ripieno import: {error}", file=sys.stderr)
        return 1
    print(f"{given.out}: {', '.join(networks)}")
    print(config.to_json())
    return 0


def main_export(argv: Sequence[str] | None = None) -> int:
    """``ripieno export``: a checkpoint of ours becomes a bundle of graphs."""
    parser = argparse.ArgumentParser(prog="ripieno export", description="Turn a checkpoint into a bundle of graphs.")
    parser.add_argument("model", choices=_EXPORTED)
    parser.add_argument("checkpoint", type=Path, metavar="CKPT", help="our checkpoint, NAME.safetensors")
    parser.add_argument("outdir", type=Path, metavar="OUTDIR", help="folder of the bundle, made if missing")
    shrunk = parser.add_mutually_exclusive_group()
    shrunk.add_argument("--int8", action="store_const", const="int8", dest="build", help="whole-number products")
    shrunk.add_argument("--fp16", action="store_const", const="fp16", dest="build", help="half-size files")
    parser.set_defaults(build="fp32")
    given = parser.parse_args(argv)
    try:
        made = _module("graphs", given.model).export(given.checkpoint, given.outdir, given.build)
    except (OSError, ValueError) as error:
        print(f"ripieno export: {error}", file=sys.stderr)
        return 1
    print(f"{given.outdir}: {given.model} {given.build}, bundle {made.bundle}")
    for role, number in made.parity.items():
        print(f"  {role}: {made.sizes[role] / 1e6:.1f} MB, parity with torch {number:.2g} of a standard deviation")
    return 0


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
