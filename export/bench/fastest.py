"""The build of a bundle that plays fastest here: every one is made, measured, and the best is kept.

Which that is depends on a processor's whole-number products and on how fast it reads memory, so no table can say.
"""

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from export.errors import WeightsError
from export.graphs.musika import Exported

__all__ = ["MeasuredBuild", "fastest"]

_CLOSE: Final = 0.97  # of the best rate: as fast, and then more bits are better

Export = Callable[[Path, Path, str], Exported]


@dataclass(frozen=True, slots=True)
class MeasuredBuild:
    """One build.

    Args:
        rate: guided steps a second with the sound of what they say; 0 where it cannot be made. why: then.
    """

    build: str
    rate: float
    why: str = ""


def fastest(
    export: Export, checkpoint: Path, outdir: Path, builds: tuple[str, ...], *, runs: int = 3, steps: int = 60,
    tell: Callable[[MeasuredBuild], None] = lambda _: None,
) -> tuple[Exported, str]:  # fmt: skip
    """Export `checkpoint` in each of `builds`, those with more bits first, and leave the fastest in `outdir`.

    Args:
        runs, steps: of the measurement. tell: is given each build when it is measured.
    Returns:
        What was exported, and its build.
    Raises:
        WeightsError: no build can be made.
    """
    outdir.parent.mkdir(parents=True, exist_ok=True)
    best: tuple[MeasuredBuild, Exported, Path] | None = None
    why = ""
    with TemporaryDirectory(prefix=f".{outdir.name}.", dir=outdir.parent) as folder:
        for build in builds:
            place = Path(folder) / build
            try:
                made = export(checkpoint, place, build)
            except WeightsError as error:
                why = str(error)
                tell(MeasuredBuild(build, 0.0, why))
                continue
            here = MeasuredBuild(build, _rate(place, runs, steps))
            tell(here)
            if best is not None and _CLOSE * here.rate <= best[0].rate:
                shutil.rmtree(place)  # a large model's builds need not lie side by side
                continue
            if best is not None:
                shutil.rmtree(best[2])
            best = (here, made, place)
        if best is None:
            raise WeightsError(why)
        outdir.mkdir(exist_ok=True)
        for file in best[2].iterdir():
            shutil.move(file, outdir / file.name)
    return best[1], best[0].build


def _rate(bundle: Path, runs: int, steps: int) -> float:
    """In a process of its own, as the bench does."""
    words = [sys.executable, "-m", "engine.bench.musicgen", str(bundle), "--runs", str(runs), "--steps", str(steps)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"code {done.returncode}"])[-1]
        raise WeightsError(f"build {bundle.name} could not be measured: {why}")
    return float(statistics.median(json.loads(done.stdout)["rates"]["guided"]))
