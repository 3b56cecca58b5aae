"""Sequences under any treatment.

Invariant: whatever steps are taken back and taken again, forked, frozen or told anew, the same codes come, since a draw
belongs to its place; and a place that cannot be gone back to is refused, the state left as it was.
"""

import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ShapeError
from engine.models.musicgen.model import Musicgen, MusicgenControls
from engine.models.musicgen.state import MusicgenState
from tests.tiny_musicgen import ENTRIES, open_tiny

FRAMES = 150
SETTINGS = MusicgenControls(top_k=12, temperature=1.2)
KINDS = st.sampled_from(["plain", "conducted", "seamless", "wordless"])


def begun(kind: str) -> tuple[Musicgen, MusicgenState]:
    model = open_tiny("plain" if kind == "seamless" else kind)
    prompt = np.random.default_rng(1).integers(0, ENTRIES, (model.facts.codebooks, 9))
    told = model.conditions("slow" if model.words is not None else "")
    return model, model.begin(told, prompt, seed=7, seamless=kind == "seamless")


def straight(kind: str) -> list[list[int]]:
    """Codes by step: [K] where a frame is whole."""
    if kind not in _STRAIGHT:
        model, state = begun(kind)
        rows = []
        while state.frames < FRAMES:
            frame = model.step(state, SETTINGS)
            rows += [] if frame is None else [frame.tolist()]
        _STRAIGHT[kind] = rows
    return _STRAIGHT[kind]


_STRAIGHT: dict[str, list[list[int]]] = {}
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("play"), st.integers(1, 30)),
        st.tuples(st.just("back"), st.integers(0, 20)),
        st.tuples(st.just("fork"), st.just(0)),
        st.tuples(st.just("freeze"), st.just(0)),
        st.tuples(st.just("hear"), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(KINDS, ACTIONS)
def test_the_same_codes_come_whatever_is_done(kind: str, actions: list[tuple[str, int]]) -> None:
    wanted = straight(kind)
    model, state = begun(kind)
    for action, count in [*actions, ("play", 5)]:
        if action == "play":
            for _ in range(count):
                if state.frames >= FRAMES:
                    break
                frame = model.step(state, SETTINGS)
                if frame is not None:
                    assert frame.tolist() == wanted[state.frames - 1 - state.given]
        elif action == "back":
            before = (state.steps, state.origin, state.codes.copy())
            try:
                model.rewind(state, state.origin + state.steps - 1 - count)
            except ShapeError:
                assert (state.steps, state.origin) == before[:2]
                assert np.array_equal(state.codes, before[2])
        elif action == "fork":
            other, state = state, state.fork()
            other.codes[:] = 0
            for value in other.cache.arrays.values():
                value[:] = np.nan
        elif action == "freeze":
            state = pickle.loads(pickle.dumps(state))
        else:
            model.prefill(state)
