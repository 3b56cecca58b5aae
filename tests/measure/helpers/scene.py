"""What every part of `tests.measure.stage` works with, and how it tells its figures."""

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.measure.helpers.ear import Ear
from tests.measure.helpers.jackd import Jackd
from tests.measure.helpers.show import Show

__all__ = ["Scene", "Trouble"]


@dataclass(slots=True)
class Scene:
    """What every part works with.

    Args:
        bundle, controls: what plays.
        minutes: of the soak; at most 2 of them for the take that is replayed.
        scale: of all repetitions.
        flags: of jackd.
        command: for the rows.
    """

    server: Jackd
    ear: Ear
    folder: Path
    bundle: str
    controls: object
    minutes: float
    scale: float
    flags: tuple[str, ...]
    command: str
    part: str = ""
    rows: list[dict[str, object]] = field(default_factory=list)
    _shows: int = 0

    def row(self, name: str, value: float | int, unit: str = "", wanted: str = "") -> None:
        """Tell one figure."""
        row: dict[str, object] = {
            "name": f"{self.part}/{name}",
            "value": round(float(value), 3) if isinstance(value, float) else int(value),
            "unit": unit,
            "wanted": wanted,
            "machine": _machine(),
            "command": self.command,
        }
        self.rows.append(row)
        print(json.dumps(row), flush=True)

    def times(self, count: int) -> int:
        """A number of repetitions, scaled."""
        return max(1, round(count * self.scale))

    @contextmanager
    def show(self, *arguments: str) -> Iterator[Show]:
        """A run of the program; its errors are a figure, too."""
        self._shows += 1
        folder = self.folder / f"{self.part}-{self._shows}"
        folder.mkdir()
        with Show(self.server.environment(), folder, self.bundle, arguments) as show:
            yield show
            status = show.end()
        if status or show.faults():
            self.row("faults", max(show.faults(), int(status != 0)), "errors", "0")
            print(show.log()[-2000:], file=sys.stderr)

    @contextmanager
    def playing(self, *arguments: str) -> Iterator[Show]:
        """A run of the program that sounds."""
        with self.show(*arguments) as show:
            show.wait_playing()
            self.ear.first_sound(self.ear.frame_at(show.began_s), 30.0)
            time.sleep(1.0)  # what starts beside the sound is up
            yield show

    def ms(self, samples: int) -> float:
        """Of frames heard."""
        return 1000.0 * samples / self.ear.rate


@dataclass(slots=True)
class Trouble:
    """What went wrong since it was made: `now` gives (late voices, rings that ran empty, xruns)."""

    scene: Scene
    show: Show
    before: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        self.before = self._count()

    def now(self) -> tuple[int, int, int]:
        a, b = self._count(), self.before
        return a[0] - b[0], a[1] - b[1], a[2] - b[2]

    def tell(self, wanted: str = "") -> None:
        """Rows of it."""
        late, empty, xruns = self.now()
        self.scene.row("voice_underruns", late, "reads", wanted)
        self.scene.row("device_underruns", empty, "times", wanted)
        self.scene.row("jack_xruns", xruns, "xruns")

    def _count(self) -> tuple[int, int, int]:
        status = self.show.status()
        return int(status.get("underruns", 0)), int(status["device_underruns"]), self.scene.ear.wires.xruns


def _machine() -> str:
    """The processor, its cores and the system."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    for line in info.read_text("utf-8").splitlines() if info.exists() else ():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
