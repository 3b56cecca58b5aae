"""Whatever the score and whatever is asked of it: only notes of the targets within the bars asked for differ."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.models.getmusic.model import FillSettings
from engine.music.midifile import read_midi, write_midi
from engine.music.roles import roles_of
from engine.music.score import ROLES, Meter, Note, Score, Track
from engine.offline.infill import InfillTask, infill
from engine.offline.infill_options import InfillOptions
from engine.protocols.streamer import work
from tests.tiny_getmusic import write_tiny_getmusic

METERS = ((4, 4), (3, 4), (5, 4), (7, 8), (6, 8), (2, 2), (12, 8), (1, 16))
LAST = Note(30_000, 60, 10)
"""Of every track: one without notes would not be found again in the file."""

notes = st.lists(
    st.builds(Note, st.integers(0, 12_000), st.integers(0, 127), st.integers(0, 3000), st.integers(1, 127)), max_size=24
).map(lambda rows: (*sorted(set(rows)), LAST))
tracks = st.builds(Track, notes, st.integers(0, 127), st.booleans())


@st.composite
def scores(draw: st.DrawFn) -> Score:
    meter = draw(st.sampled_from(METERS))
    more = draw(st.lists(st.tuples(st.integers(1, 10_000), st.sampled_from(METERS)), max_size=2))
    changes = {0: meter, **dict(more)}
    meters = tuple(Meter(tick, *changes[tick]) for tick in sorted(changes))
    return Score(tuple(draw(st.lists(tracks, max_size=5))), meters=meters)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundles")
    write_tiny_getmusic(root / "network", context=64)
    write_tiny_getmusic(root / "window", "window", context=64, window=32, lagged_chords=False, key_shift="near")
    return root


@settings(
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    score=scores(),
    targets=st.lists(st.sampled_from(ROLES), min_size=1, max_size=6, unique=True),
    first=st.integers(1, 6),
    count=st.integers(1, 6),
    kind=st.sampled_from(["network", "window"]),
    chords=st.sampled_from(["", "Am F C/E Gsus4"]),
)
def test_everything_else_stays_note_for_note(
    bundles: Path, score: Score, targets: list[str], first: int, count: int, kind: str, chords: str
) -> None:
    with TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.mid", Path(folder) / "out.mid"
        source.write_bytes(write_midi(score))
        was = read_midi(source)
        task = InfillTask(
            source=source, out=out, targets=tuple(targets), bars=(first, first + count - 1), chords=chords,
            bundle=str(bundles / kind),
            options=InfillOptions(settings=FillSettings(steps=2, densities=dict.fromkeys(targets, 0.3))),
        )  # fmt: skip
        refused = ""
        try:
            work(infill(task))
        except EngineError as error:
            refused = str(error)
        event("refused" if refused else "filled")
        assert out.exists() is not bool(refused)
        if refused:
            assert len(refused.splitlines()) == 1
            return
        made = read_midi(out)
    begin, end = was.tick_of_bar(first - 1), was.tick_of_bar(first + count - 1)
    assert (made.tempos, made.meters) == (was.tempos, was.meters)

    def others(whole: Score, roles: tuple[str | None, ...]) -> list[tuple[Note, ...]]:
        rows = []
        for role, track in zip(roles, whole.tracks, strict=False):
            kept = [note for note in track.notes if role not in targets or not begin <= note.start < end]
            rows.append(tuple(kept))
        return rows

    roles = roles_of(was)
    assert others(made, roles) == others(was, roles)
    for track in made.tracks[len(was.tracks) :]:
        assert all(begin <= note.start < end for note in track.notes)
