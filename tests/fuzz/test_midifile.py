"""Any bytes give a Score or one ScoreError, never anything else; what is read can be written, read again, encoded."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.music.grid import Encoded, decode, encode
from engine.music.midiedit import edited
from engine.music.midifile import MidiFile, open_midi
from engine.music.score import Score, ScoreError
from engine.music.vocabulary import Dictionary

DICTIONARY = Dictionary.build({"piano": {(60, 64): 2}})

_EVENTS = st.one_of(
    st.builds(bytes, st.tuples(st.integers(0, 127), st.integers(128, 255), st.integers(0, 127), st.integers(0, 127))),
    st.builds(
        lambda delta, kind, body: bytes((delta, 0xFF, kind, len(body))) + body,
        st.integers(0, 127), st.sampled_from((0x03, 0x2F, 0x51, 0x58, 0x59, 0x7F)), st.binary(max_size=6),
    ),
    st.builds(lambda bytes_: b"\xff\xff\xff\x7f" + bytes_, st.binary(max_size=3)),
    st.binary(max_size=6),
)  # fmt: skip


@st.composite
def _files(draw: st.DrawFn) -> bytes:
    """Headers that are nearly right, chunks of events that are nearly right, lengths that lie, and an early end."""
    division = draw(st.integers(0, 0xFFFF)).to_bytes(2, "big")
    made = b"MThd\0\0\0\6\0\1\0\2" + division
    for _ in range(draw(st.integers(0, 3))):
        body = b"".join(draw(st.lists(_EVENTS, max_size=30)))
        lie = draw(st.sampled_from((0, 0, 0, 5, -5, 1 << 30)))
        made += b"MTrk" + max(0, len(body) + lie).to_bytes(4, "big") + body
    return made[: draw(st.integers(0, len(made)))] if draw(st.booleans()) else made


def _opened(data: bytes) -> MidiFile | str:
    """The file, or the sentence that says why not."""
    try:
        return open_midi(data, song=1)
    except ScoreError as error:
        return str(error)


def _encoded(score: Score) -> Encoded | str:
    try:
        return encode(score, DICTIONARY, chords=(None,))
    except ScoreError as error:
        return str(error)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.binary(max_size=300), _files()))
def test_any_bytes_are_a_score_or_one_sentence(data: bytes) -> None:
    found = _opened(data)
    if isinstance(found, str):
        assert found.startswith("got ")
        assert "\n" not in found
    else:
        assert all(track.notes for track in found.score.tracks)


@settings(max_examples=200, deadline=None)
@given(_files())
def test_what_is_read_is_written_and_read_as_the_same(data: bytes) -> None:
    file = _opened(data)
    if isinstance(file, str):
        return
    again = open_midi(edited(file.source), song=1)
    notes, back = ([sorted((n, t.program, t.drums) for n in t.notes) for t in f.score.tracks] for f in (file, again))
    assert sorted(notes) == sorted(back)


@settings(max_examples=150, deadline=None)
@given(_files())
def test_any_score_has_a_grid_that_decodes_or_one_sentence(data: bytes) -> None:
    file = _opened(data)
    if isinstance(file, str):
        return
    made = _encoded(file.score)
    if isinstance(made, str):
        assert "bars" in made
    else:
        assert made.grid.shape == (14, made.bars.columns)
        assert len(decode(made.grid, DICTIONARY, made.shift, bars=made.bars).tracks) == 6
