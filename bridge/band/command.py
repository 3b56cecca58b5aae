"""``ripieno accompany``: play a melody over MIDI, and a band plays along, planned one bar ahead."""

import contextlib
import sys
import threading
import time
from collections.abc import Sequence

from bridge.band.band import Band
from bridge.band.clock import BandTime, MidiTime, OwnTime
from bridge.band.commands import parse_commands
from bridge.band.old_names import OldBandNames
from bridge.band.options import options_from, parser
from bridge.band.view import BandView, JsonView, LinesView, PictureView
from engine.band.names import AUTO
from engine.band.process import band_named
from engine.errors import ControlError
from engine.processes import BAND_PRIORITY, ENDING_SIGNALS, catch_signals, set_priority

__all__ = ["accompany_main"]


def accompany_main(argv: Sequence[str]) -> int:
    """Play until Ctrl-C or SIGTERM."""
    args = parser().parse_args(argv)
    name = args.bundle or AUTO
    args.bundle = band_named(name)
    options = options_from(args)
    asked = catch_signals(*ENDING_SIGNALS)
    picture = not args.plain and sys.stdout.isatty()
    out = sys.stdout
    view: BandView = JsonView(out) if args.json else PictureView(options.settings) if picture else LinesView()
    set_priority(BAND_PRIORITY)
    clock: BandTime
    if options.follow:
        clock = MidiTime(options.input_ms / 1000.0)
    else:
        clock = OwnTime(options.tempo, count_in=options.count_in)
    # A program that reads the JSON must read nothing else: what libraries print goes to stderr.
    with contextlib.redirect_stdout(sys.stderr if args.json else out), view:
        OldBandNames(view.say).current(name, "--bundle {}")
        band = Band(options, view, clock)
        try:
            if args.json:
                threading.Thread(target=_read_commands, args=(band,), name="commands", daemon=True).start()
            end_s = time.perf_counter() + args.seconds
            band.run(lambda: asked.is_set() or time.perf_counter() > end_s)
        finally:
            band.close()
    return 0


def _read_commands(band: Band) -> None:
    """Lines of JSON at standard input, see `parse_commands`; a line that is refused is shown with the reason."""
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            commands = parse_commands(line)
        except ControlError as error:
            band.view.say(f"refused: {error}")
            continue
        for command in commands:
            band.post(command)
