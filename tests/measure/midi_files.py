"""How MIDI files come through reading, writing and an infill, counted by cause.

    python -m tests.measure.midi_files ARCHIVE.tar.gz ... [--limit N] [--no-fill]

Of every MIDI file of the archives: whether it is written as it was read, byte for byte; whether each chunk written anew
keeps its events; and after a bass and drums for a few bars of a tiny network with random weights, whether every event
outside them has its bytes, its tick and its order, and every chunk ends where it did or later.
"""

import argparse
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.errors import EngineError
from engine.models.getmusic.model import FillSettings
from engine.music.midiedit import LAST, edited
from engine.music.midifile import MidiFile, open_midi
from engine.music.roles import roles_of
from engine.offline.infill import InfillTask, infill
from engine.offline.infill_options import InfillOptions
from engine.protocols.streamer import work
from tests.midi_kinds import Event, tracks_in
from tests.tiny_getmusic import write_tiny_getmusic

_TARGETS = ("bass", "drum")
_NEW = (0, b"\xf7\x01\x55")


def _archive(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.lower().endswith((".mid", ".midi")) else None
            if file is not None:
                yield member.name, file.read()


def _written(data: bytes, file: MidiFile) -> Iterator[str]:
    """Causes of what is not as it was after reading and writing."""
    if edited(file.source) != data:
        yield "written: other bytes"
        return
    before = tracks_in(data)
    after = tracks_in(edited(file.source, added={number: [(_NEW[0], LAST, _NEW[1])] for number in _numbers(file)}))
    for (old, end), (new, last) in zip(before, after, strict=True):
        new.remove(_NEW)
        if new != old:
            yield "written anew: other events"
        if last != end:
            yield "written anew: another end of track"


def _numbers(file: MidiFile) -> list[int]:
    return [number for number, chunk in enumerate(file.source.chunks) if chunk.is_track]


def _filled(data: bytes, file: MidiFile, bundle: Path, folder: Path) -> Iterator[str]:
    """Causes of what is not as it was after an infill of four bars in the middle."""
    source, out = folder / "in.mid", folder / "out.mid"
    source.write_bytes(data)
    out.unlink(missing_ok=True)
    first = file.score.bar_at(file.score.end // 2)[0]
    task = InfillTask(
        source=source, out=out, targets=_TARGETS, bars=(first + 1, first + 4), bundle=str(bundle), song=1,
        chords="C F G Am", options=InfillOptions(settings=FillSettings(steps=1)),
    )  # fmt: skip
    try:
        made = work(infill(task))
    except EngineError as error:
        yield f"refused: {str(error).split(' for ')[0][:40]}"
        return
    yield from (f"empty: {role}" for role, notes in made.notes[0].items() if not notes)
    begin, end = (file.tick_of(file.score.tick_of_bar(bar)) for bar in (first, first + 4))
    homes = zip(roles_of(file.score), file.homes, strict=True)
    asked = {(home.chunk, home.channel) for role, home in homes if role in _TARGETS}
    for number, (old, new) in enumerate(zip(tracks_in(data), tracks_in(out.read_bytes()), strict=False)):
        yield from _differences(_numbers(file)[number], old, new, asked, (begin, end))


def _differences(
    number: int,
    old: tuple[list[Event], int],
    new: tuple[list[Event], int],
    asked: set[tuple[int, int]],
    ticks: tuple[int, int],
) -> Iterator[str]:
    if new[1] < old[1]:
        yield "filled: a chunk ends earlier"
    left = Counter(new[0])
    stay = []
    for row in old[0]:
        if left[row]:
            left[row] -= 1
            stay.append(row)
    position = iter(new[0])
    if not all(row in position for row in stay):
        yield "filled: another order"
    for tick, event in Counter(old[0]) - Counter(stay):
        if event[0] >= 0xA0 or (number, event[0] & 15) not in asked:
            yield "filled: an event of another part is gone"
        elif event[0] & 0xF0 == 0x90 and event[2] and not ticks[0] <= tick < ticks[1]:
            yield "filled: a strike outside the bars is gone"
    for tick, event in +left:
        if event[0] & 0xF0 == 0x90 and event[2] and not ticks[0] <= tick < ticks[1]:
            yield "filled: a strike outside the bars is new"
        elif event[0] >= 0xA0 and event[0] & 0xF0 != 0xC0:
            yield "filled: an event that is no note is new"


def _one(data: bytes, bundle: Path | None, folder: Path) -> set[str]:
    try:
        file = open_midi(data, song=1)
    except EngineError as error:
        return {f"not read: {str(error)[:40]}"}
    causes = set(_written(data, file)) | {"read: a track is damaged" for _ in file.source.remarks}
    return causes if bundle is None else causes | set(_filled(data, file, bundle, folder))


def main(argv: list[str] | None = None) -> int:
    """Prints counts by cause and archive, with one file each."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure.midi_files")
    parser.add_argument("archives", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, default=0, help="files of each archive (all)")
    parser.add_argument("--no-fill", action="store_true")
    asked = parser.parse_args(argv)
    total: Counter[str] = Counter()
    example: dict[str, str] = {}
    files, began = 0, time.monotonic()
    with TemporaryDirectory() as name:
        folder = Path(name)
        bundle = None if asked.no_fill else write_tiny_getmusic(folder / "network", context=128)
        for archive in asked.archives:
            count = 0
            for path, data in _archive(archive):
                for cause in _one(data, bundle, folder):
                    total[cause] += 1
                    example.setdefault(cause, path)
                count += 1
                if count == asked.limit:
                    break
            files += count
            print(f"{archive.name}: {count} files, {time.monotonic() - began:.0f} s, so far {dict(total)}", flush=True)
    print(f"{files} files")
    for cause, count in sorted(total.items()):
        print(f"{count:6} {cause} (such as {example[cause]})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
