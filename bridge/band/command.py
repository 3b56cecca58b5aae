"""``ripieno accompany``: play a melody, and the band plays the next bar with you, over MIDI."""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Final

from bridge.band.band import Band
from bridge.band.clock import BandTime, MidiTime, OwnTime
from bridge.band.options import options_from, parser
from bridge.band.view import BandView, JsonView, LinesView, PictureView
from engine.band.process import usual_band

__all__ = ["accompany_main"]

_NICE: Final = -5  # before what the machine does beside a performance, where the system lets us


def accompany_main(argv: Sequence[str]) -> int:
    """Play until Ctrl-C or SIGTERM."""
    args = parser().parse_args(argv)
    args.bundle = args.bundle or usual_band()
    options = options_from(args)
    asked = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    picture = not args.plain and sys.stdout.isatty()
    out = sys.stdout
    view: BandView = JsonView(out) if args.json else PictureView(options.working) if picture else LinesView()
    with contextlib.suppress(AttributeError, OSError):
        os.nice(_NICE)
    clock: BandTime
    if options.follow:
        clock = MidiTime(options.input_ms / 1000.0)
    else:
        clock = OwnTime(options.tempo, count_in=options.count_in)
    # Whoever reads the JSON reads nothing else: what libraries print goes where errors go.
    with contextlib.redirect_stdout(sys.stderr if args.json else out), view:
        band = Band(options, view, clock)
        try:
            if args.json:
                threading.Thread(target=_read_orders, args=(band,), name="orders", daemon=True).start()
            end_s = time.perf_counter() + args.seconds
            band.run(lambda: asked.is_set() or time.perf_counter() > end_s)
        finally:
            band.close()
    return 0


def _read_orders(band: Band) -> None:
    for line in sys.stdin:
        try:
            words = json.loads(line)
        except ValueError:
            words = None
        if isinstance(words, dict):
            band.order(words)
        elif line.strip():
            band.view.say(f"not an order: {line.strip()[:80]}")
