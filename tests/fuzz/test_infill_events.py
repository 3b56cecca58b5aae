"""Files of every kind: read and written they keep each event to the byte, and so does all that an infill leaves."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.models.getmusic.model import FillSettings
from engine.music.midiedit import edited
from engine.music.midifile import open_midi
from engine.music.roles import roles_of
from engine.music.score import ROLES
from engine.offline.infill import InfillTask, infill
from engine.offline.infill_options import InfillOptions
from engine.protocols.streamer import work
from tests.midi_kinds import Event, Kind, files, tracks_in
from tests.tiny_getmusic import write_tiny_getmusic


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_getmusic(tmp_path_factory.mktemp("bundles") / "network", context=64)


@settings(max_examples=80, deadline=None)
@given(files())
def test_read_and_written_each_event_stays_to_the_byte_and_in_order(kind: Kind) -> None:
    wanted = [(list(chunk.events), chunk.end) for chunk in kind.chunks]
    assert tracks_in(edited(open_midi(kind.data(), song=1).source)) == wanted


@settings(max_examples=80, deadline=None)
@given(files(), st.data())
def test_a_chunk_that_is_written_anew_keeps_its_events_too(kind: Kind, data: st.DataObject) -> None:
    source = open_midi(kind.data(), song=1).source
    numbers = [number for number, chunk in enumerate(source.chunks) if chunk.is_track]
    new = (data.draw(st.integers(0, 5000)), 2, b"\xf7\x01\x55")
    made = tracks_in(edited(source, added={number: [new] for number in numbers}))
    for chunk, (events, end) in zip(kind.chunks, made, strict=True):
        at = events.index((new[0], new[2]))
        assert (*events[:at], *events[at + 1 :]) == chunk.events
        assert end == max(chunk.end, new[0])
        assert all(tick > new[0] for tick, _ in events[at + 1 :])


@settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    kind=files(),
    targets=st.lists(st.sampled_from(ROLES), min_size=1, max_size=4, unique=True),
    bars=st.one_of(st.none(), st.tuples(st.integers(1, 4), st.integers(0, 3))),
)
def test_a_fill_leaves_every_other_event_as_it_was(
    bundle: Path, kind: Kind, targets: list[str], bars: tuple[int, int] | None
) -> None:
    with TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.mid", Path(folder) / "out.mid"
        source.write_bytes(kind.data())
        task = InfillTask(
            source=source, out=out, targets=tuple(targets), chords="Am F C G", bundle=str(bundle), song=1,
            bars=None if bars is None else (bars[0], sum(bars)),
            options=InfillOptions(settings=FillSettings(steps=1, densities=dict.fromkeys(targets, 0.3))),
        )  # fmt: skip
        refused = ""
        try:
            work(infill(task))
        except EngineError as error:
            refused = str(error)
        event(f"refused: {refused[:24]}" if refused else "filled")
        assert out.exists() is not bool(refused)
        if refused:
            return
        made = out.read_bytes()
    file = open_midi(kind.data(), song=1)
    first, last = (0, 1 << 20) if bars is None else (bars[0] - 1, sum(bars))
    begin, end = (file.tick_of(file.score.tick_of_bar(bar)) for bar in (first, last))
    numbers = [number for number, chunk in enumerate(file.source.chunks) if chunk.is_track]
    asked = {
        (numbers.index(home.chunk), home.channel)
        for role, home in zip(roles_of(file.score), file.homes, strict=True)
        if role in targets
    }
    before, after = [list(chunk.events) for chunk in kind.chunks], tracks_in(made)
    assert made[8:10] == kind.format.to_bytes(2, "big")
    assert made[12:14] == kind.division.to_bytes(2, "big")
    assert all(new >= chunk.end for chunk, (_, new) in zip(kind.chunks, after, strict=False))
    assert len(after) == len(before) or kind.format == 1
    stay = [_common(old, new) for old, (new, _) in zip(before, after, strict=False)]
    for number, (old, kept) in enumerate(zip(before, stay, strict=True)):
        gone = Counter(old) - Counter(kept)
        assert all(data[0] < 0xA0 and (number, data[0] & 15) in asked for _, data in gone)
        assert all(begin <= tick < end for tick, data in gone if _strikes(data))
    for number, (events, _) in enumerate(after):
        new_events = Counter(events) - Counter(stay[number] if number < len(stay) else [])
        assert all(begin <= tick < end for tick, data in new_events if _strikes(data))
        if number < len(before):
            assert all(data[0] < 0xA0 or data[0] & 0xF0 == 0xC0 for _, data in new_events)
    whole = 1 if kind.format == 2 else len(after)  # of several songs the first
    lost = _rings(stay[:whole]) - _rings([events for events, _ in after[:whole]])
    assert not [ring for ring in lost if not (ring[1] == 9 and ring[4] < 0)], "drums that nothing ends"


def _strikes(data: bytes) -> bool:
    return data[0] & 0xF0 == 0x90 and data[2] > 0


def _common(old: list[Event], new: list[Event]) -> list[Event]:
    """The events of `old` that `new` has too, in order, keys apart: no other event may be missing or out of order."""
    left = Counter(new)
    kept = []
    for row in old:
        if left[row]:
            left[row] -= 1
            kept.append(row)
    position = iter(new)
    assert all(row in position for row in kept), "in the same order"
    return kept


def _rings(chunks: list[list[Event]]) -> Counter[tuple[int, int, int, int, int]]:
    """How long each strike rings in a player that merges all tracks: port, channel, pitch, start, end."""
    rows = [(tick, number, at, data) for number, events in enumerate(chunks) for at, (tick, data) in enumerate(events)]
    ports: dict[int, int] = defaultdict(int)
    down: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    made: Counter[tuple[int, int, int, int, int]] = Counter()
    for tick, number, _, data in sorted(rows, key=lambda row: row[:3]):
        if data[:2] == b"\xff\x21":
            ports[number] = data[3]
        if data[0] < 0xA0:
            key = ports[number], data[0] & 15, data[1]
            if _strikes(data):
                down[key].append(tick)
            else:
                made += _ended(key, down.pop(key, []), tick)
    for key, starts in down.items():
        made += _ended(key, starts, -1)
    return made


def _ended(key: tuple[int, int, int], starts: Iterable[int], tick: int) -> Counter[tuple[int, int, int, int, int]]:
    return Counter((*key, start, tick) for start in starts)
