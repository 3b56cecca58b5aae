"""GETMusic's network as one function: logits of the tokens of some cells of a grid.

There are two kinds of bundle. In one, every column sees every other (graph ``network``). In the other, past columns are
read once (graph ``past``) and cached, and each pass computes only the last columns (graph ``window``), which see the
past and each other; the past does not see them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from engine.errors import ManifestError, ShapeError
from engine.graphs.graph import Array, Graph
from engine.models.getmusic.facts import GetmusicFacts
from engine.music.arrays import F32, I64, Mask
from engine.music.score import ROLES
from engine.music.vocabulary import PAD

__all__ = ["TRACK_ROWS", "CachedNetwork", "FullNetwork", "Network", "Prediction", "Rows", "network_of"]


TRACK_ROWS: Final = 2 * len(ROLES)
"""Rows of a grid that belong to the six tracks, pitch and duration by turns; two rows of chords follow."""

_SHARED: Final = ("tokens", "given", "t", "cells_duration", *(f"cells_{role}" for role in ROLES))


@dataclass(frozen=True, slots=True)
class Rows:
    """The tokens of each track.

    Args:
        lows, counts: for each of the six tracks, its first pitch token and how many it has.
        size: tokens in the dictionary; EMPTY is the next, MASK the one after.
        splits: durations of two parts, the last tokens of the dictionary.
    """

    lows: tuple[int, ...]
    counts: tuple[int, ...]
    size: int
    splits: int = 0

    @property
    def empty(self) -> int:
        return self.size

    @property
    def mask(self) -> int:
        return self.size + 1

    def tokens(self, track: int, choices: I64) -> I64:
        """Token ids of choices 0..n of a track, n being PAD."""
        return np.where(choices == self.counts[track], PAD, choices + self.lows[track])

    def lengths(self, choices: I64) -> I64:
        """Token ids of choices among the logits of durations."""
        return np.where(choices <= PAD, choices, choices - PAD - 1 + self.size - self.splits)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Logits of the requested cells.

    Args:
        pitch: for each track [M, n + 1] in the order of ``np.nonzero(asked[:, 2 * track])``; the last column is PAD.
        duration: [M, 16 + splits] in the order of ``np.nonzero(asked[:, 1::2])``; column 15 is PAD.
    """

    pitch: tuple[F32, ...]
    duration: F32


class Network(Protocol):
    """Threads: one."""

    @property
    def rows(self) -> Rows: ...

    @property
    def conducted(self) -> bool:
        """Whether it takes features."""
        ...

    @property
    def context(self) -> int:
        """The most columns that it sees at once."""
        ...

    @property
    def window(self) -> int:
        """The last columns of a grid, in which cells may be open; all of `context` if it caches no past."""
        ...

    def predict(self, tokens: I64, given: I64, t: int, asked: Mask, features: F32 | None = None) -> Prediction:
        """Predict cells.

        Args:
            tokens: [B, 14, L], MASK where open. given: [B, 14, L], 1 for conditions.
            t: 0..99, the share of targets that are open times 99.
            asked: [B, 12, L] the requested cells of the six tracks' rows.
            features: [F, L] of musical time, harmony, density and register, for networks that take features.
        """
        ...


class FullNetwork:
    """The network whose columns all see each other.

    Raises:
        ManifestError: the graph is not one of this kind.
    """

    def __init__(self, graph: Graph, rows: Rows) -> None:
        _expect(graph, _SHARED, rows)
        self._graph, self.rows = graph, rows
        self.context = self.window = GetmusicFacts.from_mapping(graph.manifest.facts).context
        self.conducted = "features" in graph.inputs

    def predict(self, tokens: I64, given: I64, t: int, asked: Mask, features: F32 | None = None) -> Prediction:
        """See `Network.predict`."""
        feeds = _feeds(tokens, given, t, asked)
        if self.conducted:
            feeds["features"] = _conducted(self._graph, features, tokens)
        return _prediction(self._graph.run(feeds))


class CachedNetwork:
    """The network whose last columns see a past that is read once.

    The past of the latest call is cached: with the same past again, as in all passes of one bar, only the window is
    computed.

    Raises:
        ManifestError: the graphs are not of this kind.
    """

    def __init__(self, past: Graph, window: Graph, rows: Rows) -> None:
        _expect(window, (*_SHARED, "past_k", "past_v"), rows)
        self._past, self._graph, self.rows = past, window, rows
        facts = GetmusicFacts.from_mapping(window.manifest.facts)
        self.window, self.context = facts.window, max(facts.window, facts.context)
        self.conducted = "features" in window.inputs
        self._kept: tuple[tuple[bytes, ...], dict[str, Array]] | None = None

    def predict(self, tokens: I64, given: I64, t: int, asked: Mask, features: F32 | None = None) -> Prediction:
        """See `Network.predict`; the columns before the last `window` must be the same in the whole batch."""
        length = tokens.shape[2]
        past = max(0, length - self.window)
        if asked[:, :, :past].any():
            raise ShapeError(f"cells are asked for before the last {self.window} of {length} columns")
        whole = _conducted(self._graph, features, tokens[:1]) if self.conducted else None
        k, v = self._remember(tokens[:1, :, :past], given[:1, :, :past], None if whole is None else whole[:, :, :past])
        feeds = _feeds(tokens[:, :, past:], given[:, :, past:], t, asked[:, :, past:])
        batch = len(tokens)
        feeds |= {"past_k": np.repeat(k, batch, axis=0), "past_v": np.repeat(v, batch, axis=0)}
        if whole is not None:
            feeds["features"] = np.repeat(whole[:, :, past:], batch, axis=0)
        return _prediction(self._graph.run(feeds))

    def _remember(self, tokens: I64, given: I64, features: F32 | None) -> tuple[Array, Array]:
        """Keys and values [1, layers, heads, P, d] of past columns."""
        if not tokens.shape[2]:
            # Of a port's sizes the batch and the past are free: here one, and none.
            shape = [size if isinstance(size, int) else 1 for size in self._graph.inputs["past_k"].shape]
            shape[3] = 0
            nothing = np.zeros(shape, np.float32)
            return nothing, nothing
        asked = (tokens.tobytes(), given.tobytes(), b"" if features is None else features.tobytes())
        if self._kept is None or self._kept[0] != asked:
            feeds: dict[str, Array] = {"tokens": np.ascontiguousarray(tokens), "given": np.ascontiguousarray(given)}
            if "t" in self._past.inputs:
                feeds["t"] = np.zeros(1, np.int64)
            if "features" in self._past.inputs and features is not None:
                feeds["features"] = np.ascontiguousarray(features)
            self._kept = asked, self._past.run(feeds)
        kept = self._kept[1]
        return kept["k"], kept["v"]


def network_of(graphs: Mapping[str, Graph], rows: Rows) -> Network:
    """The network of a bundle's graphs, by their roles.

    Raises:
        ManifestError: they are not those of a GETMusic bundle.
    """
    if "network" in graphs:
        return FullNetwork(graphs["network"], rows)
    if {"past", "window"} <= set(graphs):
        return CachedNetwork(graphs["past"], graphs["window"], rows)
    raise ManifestError(f"getmusic needs graph network, or past and window, got {sorted(graphs)}; export it again")


def _expect(graph: Graph, names: tuple[str, ...], rows: Rows) -> None:
    missing = sorted(set(names) - set(graph.inputs)) + sorted({*ROLES, "duration"} - set(graph.outputs))
    if missing:
        raise ManifestError(f"getmusic {graph.manifest.role} lacks {', '.join(missing)}; export it again")
    for role, count in zip(ROLES, rows.counts, strict=True):
        size = graph.outputs[role].shape[-1]
        if isinstance(size, int) and size != count + 1:
            raise ManifestError(f"getmusic: {role} has {size} logits, its dictionary {count} and a rest; export again")
    size = graph.outputs["duration"].shape[-1]
    if isinstance(size, int) and size != PAD + 1 + rows.splits:
        raise ManifestError(f"getmusic: {size} lengths, its dictionary {PAD + 1 + rows.splits}; export again")


def _feeds(tokens: I64, given: I64, t: int, asked: Mask) -> dict[str, Array]:
    length = tokens.shape[2]
    batch, tracks, columns = np.nonzero(asked[:, 1::2])
    feeds: dict[str, Array] = {
        "tokens": np.ascontiguousarray(tokens),
        "given": np.ascontiguousarray(given),
        "t": np.full(len(tokens), t, np.int64),
        "cells_duration": (batch * len(ROLES) + tracks) * length + columns,
    }
    for track, role in enumerate(ROLES):
        rows, places = np.nonzero(asked[:, 2 * track])
        feeds[f"cells_{role}"] = rows * length + places
    return feeds


def _prediction(made: Mapping[str, Array]) -> Prediction:
    return Prediction(tuple(made[role] for role in ROLES), made["duration"])


def _conducted(graph: Graph, features: F32 | None, tokens: I64) -> F32:
    """[B, F, L] float32."""
    wanted = graph.inputs["features"].shape[1]
    fits = features is not None and (not isinstance(wanted, int) or features.shape[0] == wanted)
    if features is None or not fits or features.shape[1] != tokens.shape[2]:
        got = None if features is None else features.shape
        raise ShapeError(f"getmusic {graph.manifest.role} takes features [{wanted}, {tokens.shape[2]}], got {got}")
    return np.ascontiguousarray(np.repeat(features[None], len(tokens), axis=0), np.float32)
