"""What a run tells people: a progress line, numbers as JSON lines, curves for TensorBoard.

rich and tensorboard are used where they are installed; without them the line is plain text and the numbers are in
`metrics.jsonl` all the same.
"""

import importlib.util
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from training.previews import spectrogram_image, write_preview
from training.task import Preview

__all__ = ["Report"]


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


class Report:
    """Writes into one run's folder; a context manager, so that bars and files are closed.

    Args:
        folder: of the run; gets `metrics.jsonl`, `previews/` and `curves/`.
        start: steps that were done before; later lines of an earlier attempt are dropped.
        steps: steps in all.
        quiet: no line on the terminal.
        curves: write TensorBoard files if it is installed.
    """

    def __init__(self, folder: Path, start: int, steps: int, *, quiet: bool = False, curves: bool = True) -> None:
        self.folder, self.steps, self.quiet = folder, steps, quiet
        folder.mkdir(parents=True, exist_ok=True)
        self._began, self._start = time.monotonic(), start
        self._lines = folder / "metrics.jsonl"
        kept = [line for line in self._read() if json.loads(line)["step"] <= start]
        self._lines.write_text("".join(f"{line}\n" for line in kept), "utf-8")
        self._writer: Any = None
        if curves and _installed("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder / "curves"), purge_step=start)
        self._bar: Any = None
        self._task: Any = None
        if not quiet and sys.stderr.isatty() and _installed("rich"):
            self._open_bar()

    def _read(self) -> list[str]:
        if not self._lines.exists():
            return []
        lines = []
        for line in self._lines.read_text("utf-8").splitlines():
            try:
                json.loads(line)
            except ValueError:
                continue  # the last line of a killed run
            lines.append(line)
        return lines

    def _open_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=Console(stderr=True))
        self._task = self._bar.add_task("", total=self.steps, completed=self._start)
        self._bar.start()

    def __enter__(self) -> "Report":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._writer is not None:
            self._writer.close()

    def say(self, text: str) -> None:
        """One line for people."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        elif not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def advance(self, step: int) -> None:
        """`step` steps are done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def numbers(self, step: int, values: Mapping[str, float], kind: str = "train") -> None:
        """Numbers after `step` steps: to the file, the curves and the terminal."""
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "kind": kind, **values}, sort_keys=True) + "\n")
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{kind}/{name}", value, step)
        text = " ".join(f"{name} {value:.4g}" for name, value in values.items())
        if self._bar is not None and kind == "train":
            self._bar.update(self._task, description=text)
            return
        done = max(1, step - self._start)
        left = (time.monotonic() - self._began) / done * (self.steps - step)
        self.say(f"{kind} {step}/{self.steps} {text} left {_clock(left)}")

    def preview(self, step: int, preview: Preview) -> None:
        """Sounds and pictures after `step` steps."""
        write_preview(self.folder / "previews" / f"step-{step:09d}", preview)
        if self._writer is None:
            return
        for name, audio in preview.sounds.items():
            if _installed("PIL"):
                image = spectrogram_image(audio, preview.sample_rate)
                self._writer.add_image(name, image, step, dataformats="HWC")
            self._writer.add_audio(name, audio.mean(axis=0)[None].clip(-1.0, 1.0), step, preview.sample_rate)
        if _installed("PIL"):
            for name, pixels in preview.pictures.items():
                self._writer.add_image(name, pixels, step, dataformats="HWC")
