"""The grids that GETMusic fills: open cells, decided cells, and allowed tokens."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np

from engine.models.getmusic.network import TRACK_ROWS, Prediction, Rows
from engine.models.getmusic.plan import BAR, PlanWindow, draws_of
from engine.music.arrays import F32, F64, I64, Mask
from engine.music.leaning import leaning, outside, sounded
from engine.music.score import ROLES
from engine.music.vocabulary import PAD
from engine.sampling import Drawn, draw, draw_or_rest

__all__ = ["Board", "Choice", "Limits", "Sight"]


_ORDER, _DRAW = 21, 22  # what random numbers are for; models of other families use numbers below
_TRACKS: Final = len(ROLES)
_MOST_BIAS, _HALVINGS = 40.0, 40
_SCALE: Final = np.isin(np.arange(12), (0, 2, 4, 5, 7, 9, 11))  # C major and A minor: the key of every grid


class Choice(Protocol):
    """The fill settings that the board uses (see `engine.models.getmusic.model.FillSettings`)."""

    @property
    def plan(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def variations(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def temperature(self) -> float: ...
    @property
    def top_p(self) -> float: ...
    @property
    def rests(self) -> Mapping[str, float]: ...
    @property
    def densities(self) -> Mapping[str, float]: ...
    @property
    def temperatures(self) -> Mapping[str, float]: ...
    @property
    def top_ps(self) -> Mapping[str, float]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The allowed tokens. The share of rests stays as the network predicts it (see `draw_or_rest`).

    Args:
        rows: the tokens of each track.
        ever: role to [n] tokens that are allowed at all; a role that is absent may use all.
        classes: role to [n, 12] pitch classes of each token; for roles that depend on `tones`.
        tones: [L, 12] pitch classes of the chord at each column, in the key of the grid; None for all.
        strict: roles limited to `tones`.
        scale: roles limited to `tones` and the scale of the key.
        pull: bias of all roles towards `tones`, in nats (see `engine.music.leaning`).
    """

    rows: Rows
    ever: Mapping[str, Mask] = field(default_factory=dict)
    classes: Mapping[str, Mask] = field(default_factory=dict)
    tones: Mask | None = None
    strict: Collection[str] = ()
    scale: Collection[str] = ()
    pull: float = 0.0

    def allowed(self, track: int, columns: I64) -> Mask | None:
        """[M, n] the tokens of a track that are allowed at these columns; None for all."""
        role = ROLES[track]
        ever, classes = self.ever.get(role), self.classes.get(role)
        if classes is None or self.tones is None or role not in (*self.strict, *self.scale):
            return None if ever is None else np.broadcast_to(ever, (len(columns), len(ever)))
        tones = self.tones[columns] if role in self.strict else self.tones[columns] | _SCALE
        inside: Mask = outside(tones, classes) == 0.0
        return inside if ever is None else inside & ever

    def between(self, first: int, last: int) -> "Limits":
        """The limits of columns `first` to `last`, `last` excluded."""
        return self if self.tones is None else replace(self, tones=self.tones[first:last])

    def lean(self, track: int, batch: I64, columns: I64, row: I64, first: int) -> F64 | None:
        """[M, n] bias for the logits of a track's tokens; None for none.

        Args:
            batch, columns: [M] which cells of `row`.
            row: [B, W] the track's pitches as far as they are decided. first: its first column in the grid.
        """
        classes = self.classes.get(ROLES[track])
        if classes is None or self.tones is None or not self.pull:
            return None
        sounding = sounded(row, self.rows.lows[track], classes)[batch, columns]
        return leaning(classes, self.tones[columns + first], sounding, self.pull)


class Board:
    """The variations of one fill.

    Args:
        grid: [14, L]. targets: [6, L]. limits: the allowed tokens. settings: see `Choice`.
        first_bar: number of the bar at column 0.
        block: columns at the end of a window in which the network decides; those before it are its past.
    """

    def __init__(self, grid: I64, targets: Mask, limits: Limits, settings: Choice, first_bar: int, block: int) -> None:
        self.tokens: I64 = np.repeat(np.asarray(grid, np.int64)[None], settings.variations, axis=0)
        """[variations, 14, L]: the given grid with the decisions of all closed windows."""
        self.made: Mask = np.zeros(targets.shape, np.bool_)
        self.log_p: F64 = np.zeros((settings.variations, *targets.shape))
        self.targets, self.limits, self.settings = targets, limits, settings
        self.first_bar, self.block = first_bar, block

    def look(self, window: PlanWindow) -> "Sight":
        """Open a window's targets."""
        return Sight(self, window)


class Sight:
    """One window: the grid that the network sees, and the decisions in it.

    Attributes:
        turn: number of the pass; with the bar it selects the random numbers.
    """

    def __init__(self, board: Board, window: PlanWindow) -> None:
        self._board, self._window, self.turn = board, window, 0
        self._rows = board.limits.rows
        seen = slice(window.first, window.last)
        here = np.arange(window.first, window.last)
        self._tokens = board.tokens[:, :, seen].copy()
        waiting = board.targets[:, seen] & (here >= window.start)
        both = np.repeat(waiting, 2, axis=0)  # a pitch row and its duration row
        self._given = self._conditions(both)
        self._open: Mask = np.repeat(both[None], len(self._tokens), axis=0)
        self._own: Mask = self._open & (here < window.until)
        self._tokens[:, :TRACK_ROWS][self._open] = self._rows.mask
        self._asked = self._own.copy()
        self._odd = np.full((len(self._tokens), *waiting.shape), -np.inf)
        self._log_p = np.zeros(self._odd.shape)
        self._waiting = max(1, int(self._open.sum()))
        self._shuffled = self._draws(1, _ORDER, 0)[..., 0] if board.settings.plan != "official" else self._odd

    @property
    def share(self) -> float:
        """Share of the targets in this window that are open, 0..1."""
        return float(self._open.sum()) / self._waiting

    def question(self, t: int) -> tuple[I64, I64, int, Mask]:
        """The input of the network, see `Network.predict`."""
        self._asked = self._own & self._open
        return self._tokens, np.repeat(self._given[None], len(self._tokens), axis=0), t, self._asked

    def ask_all(self) -> None:
        """Open every cell again, while the network still sees their present values."""
        self._open |= self._own

    def reopen(self, share: float) -> None:
        """Mask the least likely cells of each track again, relative to the entropy of their distribution."""
        own = self._own[:, ::2]
        for track in range(_TRACKS):
            count = -int(-share * own[0, track].sum() // 1)
            if count:
                odd = np.where(own[:, track], self._odd[:, track], -np.inf)
                self._mask(track, np.argsort(-odd, axis=1, kind="stable")[:, :count])

    def decide(self, prediction: Prediction, counts: I64 | None) -> None:
        """Draw cells that are open and were in the network's input.

        Args:
            counts: [6] how many of each track (of the official plan: pitch and duration apart); None for all.
        """
        if self._board.settings.plan == "official":
            self._decide_rows(prediction, counts)
        else:
            self._decide_pairs(prediction, counts)

    def close(self) -> None:
        """Write the decisions to the board."""
        board, window = self._board, self._window
        decided = ~self._open[:, ::2] & self._own[:, ::2]
        seen = slice(window.first, window.last)
        own = np.concatenate([self._own & ~self._open, np.zeros((len(self._own), 2, self._own.shape[2]), np.bool_)], 1)
        board.tokens[:, :, seen] = np.where(own, self._tokens, board.tokens[:, :, seen])
        board.made[:, seen] |= decided.all(axis=0)
        board.log_p[:, :, seen] = np.where(decided, self._log_p, board.log_p[:, :, seen])

    # inside

    def _conditions(self, waiting: Mask) -> I64:
        """[14, W] 1 for given cells: no target, of a track with notes, including its empty end.

        The network's cached past and its open columns are treated separately, as in its training.
        """
        targets = np.concatenate([waiting, np.zeros((2, waiting.shape[1]), np.bool_)])
        known = (self._tokens[0] != self._rows.empty) & ~targets
        parts = np.split(known, [max(0, known.shape[1] - self._board.block)], axis=1)
        there = [np.repeat(part.any(axis=1, keepdims=True), part.shape[1], axis=1) for part in parts]
        return np.asarray(~targets & np.concatenate(there, axis=1), np.int64)

    def _draws(self, cells: int, purpose: int, turn: int) -> F64:
        """[B, 6, W, cells]."""
        settings, bar = self._board.settings, self._board.first_bar + self._window.first // BAR
        width = self._window.last - self._window.first
        first = settings.first
        return np.stack(
            [
                draws_of(cells, width, settings.seed, purpose, first + index, turn, bar)
                for index in range(settings.variations)
            ]
        )

    def _mask(self, track: int, columns: I64) -> None:
        """Open [B, M] columns of a track again."""
        rows = np.arange(len(columns))[:, None]
        for row in (2 * track, 2 * track + 1):
            self._open[rows, row, columns] = True
            self._tokens[rows, row, columns] = self._rows.mask

    def _decide_pairs(self, prediction: Prediction, counts: I64 | None) -> None:
        """Draw pitch and duration of a cell together: a rest has no duration, a note has one."""
        settings = self._board.settings
        u = self._draws(3, _DRAW, self.turn)
        duration_at = np.cumsum(self._asked[:, 1::2].reshape(-1)) - 1  # place of each cell among the durations
        duration_at = duration_at.reshape(self._asked[:, 1::2].shape)
        for track in range(_TRACKS):
            batch, columns = np.nonzero(self._asked[:, 2 * track])
            chosen = self._open[batch, 2 * track, columns]
            if counts is not None:
                chosen &= self._first_of(track, int(counts[track]))[batch, columns]
            batch, columns = batch[chosen], columns[chosen]
            if not batch.size:
                continue
            temperature = settings.temperatures.get(ROLES[track], settings.temperature)
            top_p = settings.top_ps.get(ROLES[track], settings.top_p)
            pitch = draw_or_rest(
                prediction.pitch[track][chosen],
                u[batch, track, columns, :2],
                temperature=temperature,
                top_p=top_p,
                bias=self._bias(track, prediction.pitch[track])[batch],
                allowed=self._board.limits.allowed(track, columns + self._window.first),
                lean=self._board.limits.lean(track, batch, columns, self._tokens[:, 2 * track], self._window.first),
            )
            length = draw(
                np.delete(prediction.duration[duration_at[batch, track, columns]], PAD, axis=1),
                u[batch, track, columns, 2],
                temperature=temperature,
                top_p=top_p,
            )
            self._write(track, batch, columns, pitch, length)

    def _bias(self, track: int, logits: F32) -> F64:
        """[B] bias for the logit of a rest, so that the set density is reached from here on.

        Args:
            logits: [M, n + 1] of all cells of the track in the network's input.
        """
        settings, role = self._board.settings, ROLES[track]
        count = len(self._tokens)
        if role not in settings.densities:
            return np.full(count, float(settings.rests.get(role, 0.0)))
        asked, open_ = self._asked[:, 2 * track], self._open[:, 2 * track]
        top = logits[:, :-1].max(axis=1)
        odds = np.zeros(asked.shape)  # logarithm of the odds that something begins
        odds[asked] = np.log(np.exp(logits[:, :-1] - top[:, None]).sum(axis=1)) + top - logits[:, -1]
        own = self._own[:, 2 * track]
        begun = (own & ~open_ & (self._tokens[:, 2 * track] != PAD)).sum(axis=1)
        left = np.maximum(1, (asked & open_).sum(axis=1))
        wanted = np.clip((settings.densities[role] * own.sum(axis=1) - begun) / left, 0.0, 1.0)
        low, high = np.full(count, -_MOST_BIAS), np.full(count, _MOST_BIAS)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            share = np.where(asked & open_, 1.0 / (1.0 + np.exp(middle[:, None] - odds)), 0.0).sum(axis=1) / left
            low, high = np.where(share > wanted, middle, low), np.where(share > wanted, high, middle)
        return np.asarray((low + high) / 2.0, np.float64)

    def _write(self, track: int, batch: I64, columns: I64, pitch: Drawn, length: Drawn) -> None:
        sounds = pitch.ids != self._rows.counts[track]
        self._tokens[batch, 2 * track, columns] = self._rows.tokens(track, pitch.ids)
        lengths = self._rows.lengths(length.ids + (length.ids >= PAD))  # drawn from logits without PAD
        self._tokens[batch, 2 * track + 1, columns] = np.where(sounds, lengths, PAD)
        self._open[batch, 2 * track, columns] = self._open[batch, 2 * track + 1, columns] = False
        log_p = pitch.log_p + np.where(sounds, length.log_p, 0.0)
        self._log_p[batch, track, columns] = log_p
        self._odd[batch, track, columns] = -log_p - pitch.entropy - np.where(sounds, length.entropy, 0.0)

    def _first_of(self, track: int, count: int) -> Mask:
        """[B, W] the next `count` open cells of a track, in the random order of each variation."""
        waiting = self._asked[:, 2 * track] & self._open[:, 2 * track]
        order = np.argsort(np.where(waiting, self._shuffled[:, track], np.inf), axis=1, kind="stable")
        first = np.zeros(waiting.shape, np.bool_)
        np.put_along_axis(first, order[:, :count], True, axis=1)
        return first & waiting

    def _decide_rows(self, prediction: Prediction, counts: I64 | None) -> None:
        """Draw as the original release does: pitch and duration apart, in an order that hardly follows confidence."""
        u = self._draws(4, _DRAW, self.turn)
        drawn: I64 = np.zeros(self._asked.shape, np.int64)
        log_p, late = np.zeros(self._asked.shape), np.full(self._asked.shape, np.inf)
        tracks = np.nonzero(self._asked[:, 1::2])[1]
        for row in range(TRACK_ROWS):
            track, is_duration = divmod(row, 2)
            logits = prediction.duration[tracks == track] if is_duration else prediction.pitch[track]
            batch, columns = np.nonzero(self._asked[:, row])
            if not batch.size:
                continue
            made = draw(logits, u[batch, track, columns, 2 * is_duration])
            of = self._rows.lengths(made.ids) if is_duration else self._rows.tokens(track, made.ids)
            drawn[batch, row, columns] = of
            log_p[batch, row, columns] = made.log_p
            # Drawing without replacement by weights: each waits an exponential time at its weight's rate.
            wait = -np.log1p(-u[batch, track, columns, 2 * is_duration + 1])
            late[batch, row, columns] = wait / np.exp(_certainty(logits))
        late = np.where(self._asked & self._open, late, np.inf)
        for track in range(_TRACKS):
            both = slice(2 * track, 2 * track + 2)
            times = late[:, both].reshape(len(late), -1)
            count = times.shape[1] if counts is None else int(counts[track])
            chosen = np.zeros(times.shape, np.bool_)
            np.put_along_axis(chosen, np.argsort(times, axis=1, kind="stable")[:, :count], True, axis=1)
            chosen &= np.isfinite(times)
            accepted = chosen.reshape(late[:, both].shape)
            self._tokens[:, both] = np.where(accepted, drawn[:, both], self._tokens[:, both])
            self._open[:, both] &= ~accepted
            self._log_p[:, track] += np.where(accepted, log_p[:, both], 0.0).sum(axis=1)


def _certainty(logits: F32) -> F64:
    """[M] greatest probability of each row."""
    wide = np.asarray(logits, np.float64)
    top = wide.max(axis=1, keepdims=True)
    return np.asarray(1.0 / np.exp(wide - top).sum(axis=1), np.float64)
