"""GETMusic: fills in missing parts of a score, any tracks from any others, a few cells of all tracks at a time.

A cell starts masked. Each pass of the network predicts all open cells from everything else; some of them, in random
order and by the quota of each track, are drawn and stay. After any pass the remaining open cells can be drawn at once
from the latest prediction, so a job can always end in time.

The random order matters: most cells are rests, of which a network is most certain, so an order by confidence would
produce silence.

Source: Lv et al., "GETMusic: Generating Any Music Tracks with a Unified Representation and Diffusion Framework", 2023;
its sampler is one of the plans. Deciding pitch and duration together, cosine quotas, and drawing unlikely cells again
are ours, after MaskGIT (Chang et al., 2022) and Improved VQ-Diffusion (Tang et al., 2022).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, Final

import numpy as np

from engine.controls import Live
from engine.errors import ControlError, EngineError, ManifestError, ShapeError
from engine.graphs.graph import Graph
from engine.models.getmusic.board import Board, Limits
from engine.models.getmusic.defaults import PlayingDefaults
from engine.models.getmusic.facts import GetmusicFacts
from engine.models.getmusic.limits import rows_of
from engine.models.getmusic.network import Network, network_of
from engine.models.getmusic.plan import PLANS, PlanWindow, blocks, official_passes, quotas, windows
from engine.music.absorbing import STEPS, step_of
from engine.music.arrays import F32, F64, I64, Mask
from engine.music.score import ROLES
from engine.music.vocabulary import Dictionary
from engine.protocols.streamer import Job, Progress

__all__ = ["FillSettings", "Filled", "Getmusic", "GetmusicControls"]


_AGAIN: Final = 1 << 16  # number of the first pass that draws unlikely cells again
_T: Final = STEPS - 1  # the time step of a grid whose targets are all open


@dataclass(frozen=True, kw_only=True, slots=True)
class GetmusicControls:
    """Controls of the network that can change while a band plays."""

    steps: Annotated[int, Live(1, 100, "network passes per bar, as far as time allows; more is more coherent")] = 12
    temperature: Annotated[
        float, Live(0.0, 2.0, "randomness of pitches and lengths; 1: as trained, higher: less predictable")
    ] = 1.0
    top_p: Annotated[
        float, Live(0.01, 1.0, "sample only from the likeliest pitches that together have this probability")
    ] = 1.0
    chord_pull: Annotated[
        float, Live(-1.0, 20.0, "bias of pitches towards chord notes; below 0: the model's default")
    ] = -1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class FillSettings:
    """Settings of an infill.

    Args:
        steps: the most passes for each window of a score; not used by the official plan.
        plan: see `engine.models.getmusic.plan.PLANS`.
        seed: same seed, same notes. 0..2^31 - 1.
        variations: made together, each independent of the others. first: number of the first of them.
        temperature: of pitches and lengths, not of rests: 0 the likeliest, 1 as trained (see `Getmusic`), more is less
            predictable.
        top_p: sample only from the likeliest pitches with this total probability.
        refine: share of the cells, the least likely of each track, that are drawn again in `refine_passes` passes.
        rests: role to a bias for the logit of a rest: above 0 fewer notes, below 0 more.
        densities: role to the share of its cells with an onset, 0..1; the logits of rests are biased to reach it, in
            each window separately.
        temperatures, top_ps: role to a temperature and a top_p of its own.
    Raises:
        ControlError: a value is out of range, or the official plan is combined with other settings.
    """

    steps: int = 16
    plan: str = "cosine"
    seed: int = 0
    variations: int = 1
    first: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    refine: float = 0.0
    refine_passes: int = 1
    rests: Mapping[str, float] = field(default_factory=dict)
    densities: Mapping[str, float] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    top_ps: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("steps", 1, 1000), ("seed", 0, 2**31 - 1), ("variations", 1, 64), ("first", 0, 10**6),
            ("temperature", 0.0, 10.0), ("top_p", 0.001, 1.0), ("refine", 0.0, 1.0), ("refine_passes", 1, 100),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise ControlError(f"{name} takes {low}..{high}, got {value}")
        if self.plan not in PLANS:
            raise ControlError(f"plan takes one of {', '.join(PLANS)}, got {self.plan}")
        by_role = (self.rests, self.densities, self.temperatures, self.top_ps)
        wrong = sorted({role for rows in by_role for role in rows} - set(ROLES))
        if wrong:
            raise ControlError(f"settings of single tracks name tracks {', '.join(ROLES)}, got {', '.join(wrong)}")
        for what, rows, low, high in (
            ("densities", self.densities, 0.0, 1.0), ("temperatures", self.temperatures, 0.0, 10.0),
            ("top_ps", self.top_ps, 0.001, 1.0),
        ):  # fmt: skip
            if not all(low <= value <= high for value in rows.values()):
                raise ControlError(f"{what} are {low:g}..{high:g}, got {', '.join(map(str, rows.values()))}")
        bent = (self.temperature, self.top_p, self.refine) != (1, 1, 0) or any(by_role)
        if self.plan == "official" and bent:
            raise ControlError("the official plan takes no temperature, top_p, refine, rests or densities: omit them")


@dataclass(frozen=True, kw_only=True, slots=True)
class Filled:
    """The result of an infill.

    Args:
        grids: [variations, 14, L]; as given except for the cells of `made`.
        made: [6, L] cells that were decided; all targets unless the job was asked to end early.
        log_p: [variations, 6, L] natural logarithm of the probability of each decision when it was made; 0 elsewhere.
        passes: network passes.
        complete: whether every planned pass was made.
    """

    grids: I64
    made: Mask
    log_p: F64
    passes: int
    complete: bool


class Getmusic:
    """Fills grids with a network.

    Threads: one; a job belongs to the thread that runs it.

    Args:
        network: predicts the cells.
        facts: of its bundle; None for the defaults.
    """

    def __init__(self, network: Network, facts: GetmusicFacts | None = None) -> None:
        self.network = network
        self.facts = facts or GetmusicFacts(dictionary="", context=network.context, window=network.window)

    @classmethod
    def of(cls, graphs: Mapping[str, Graph]) -> "Getmusic":
        """The model of a bundle's graphs, by their roles.

        Raises:
            ManifestError: they are not those of a GETMusic bundle, or its dictionary cannot be read.
        """
        facts = GetmusicFacts.from_mapping(next(iter(graphs.values())).manifest.facts)
        return cls(network_of(graphs, rows_of(_dictionary(facts.dictionary))), facts)

    @cached_property
    def dictionary(self) -> Dictionary:
        """The meaning of the tokens.

        Raises:
            ManifestError: the bundle has no dictionary.
        """
        return _dictionary(self.facts.dictionary)

    @cached_property
    def defaults(self) -> PlayingDefaults | None:
        """Default densities and registers, if the bundle has any."""
        return PlayingDefaults.from_fact(self.facts.defaults)

    def fill(
        self,
        grid: I64,
        targets: Mask,
        settings: FillSettings | None = None,
        *,
        limits: Limits | None = None,
        features: F32 | None = None,
        first_bar: int = 0,
    ) -> Job[Filled]:
        """A job that decides the target cells and leaves all others as they are.

        Asked to end early, it draws the open cells of the present window from the latest prediction; later windows stay
        as they were.

        Args:
            grid: [14, L]; values of target cells are ignored. EMPTY rows are absent tracks.
            targets: [6, L].
            limits: the allowed tokens; all if None.
            features: [F, L] for networks that take features.
            first_bar: number of the bar at column 0: the same bar of a piece gets the same random numbers.
        Raises:
            ShapeError: shapes differ.
        """
        if grid.ndim != 2 or grid.shape[0] != 14 or targets.shape != (6, grid.shape[1]):
            raise ShapeError(f"got a grid {grid.shape} and targets {targets.shape}, wanted [14, L] and [6, L]")
        settings = self._warmed(settings or FillSettings())
        return self._run(grid, targets, settings, limits or Limits(rows=self.network.rows), features, first_bar)

    def _warmed(self, settings: FillSettings) -> FillSettings:
        """`settings` with temperatures times the bundle's `warmth`."""
        warmth = self.facts.warmth
        if warmth == 1.0:
            return settings
        own = {role: warmth * temperature for role, temperature in settings.temperatures.items()}
        return replace(settings, temperature=warmth * settings.temperature, temperatures=own)

    def _run(
        self, grid: I64, targets: Mask, settings: FillSettings, limits: Limits, features: F32 | None, first_bar: int
    ) -> Job[Filled]:
        network = self.network
        view = windows(targets, network.context) if network.window == network.context else blocks(
            targets, network.context, network.window
        )  # fmt: skip
        stages = [(window, list(_stages(window, targets, settings))) for window in view]
        total, done = sum(len(passes) for _, passes in stages), 0
        board = Board(grid, targets, limits, settings, first_bar, network.window)
        hurry = bool((yield Progress(0, total)))
        for window, passes in stages:
            if hurry:
                break
            sight = board.look(window)
            for turn, t, counts in passes:
                sight.turn = turn
                if turn >= _AGAIN:
                    sight.reopen(settings.refine)
                elif t == 0:
                    sight.ask_all()
                prediction = network.predict(*sight.question(_time(sight.share, t)), _cut(features, window))
                done += 1
                sight.decide(prediction, counts)
                hurry = bool((yield Progress(done, total)))
                if hurry:
                    sight.decide(prediction, None)
                    break
            sight.close()
        return Filled(grids=board.tokens, made=board.made, log_p=board.log_p, passes=done, complete=done == total)


def _dictionary(text: str) -> Dictionary:
    try:
        return Dictionary.read(text)
    except EngineError as error:
        raise ManifestError(f"getmusic: the bundle's dictionary cannot be read ({error}); export it again") from None


def _time(share: float, t: int | None) -> int:
    """The time step for a share of open targets, unless the plan sets one."""
    return step_of(share) if t is None else t


def _cut(features: F32 | None, window: PlanWindow) -> F32 | None:
    return None if features is None else features[:, window.first : window.last]


def _stages(window: PlanWindow, targets: Mask, settings: FillSettings) -> Iterator[tuple[int, int | None, Any]]:
    """Each pass of a window: number, time step if the plan sets one, cells of each track to decide (None: all)."""
    cells = targets[:, window.start : window.until].sum(axis=1)
    if settings.plan == "official":
        plan = np.stack([official_passes(2 * int(count)) for count in cells], axis=1)
        for index, counts in enumerate(plan):
            if counts.any():
                yield index, _T - index, counts
        yield _T, 0, None
        return
    plan = np.stack([quotas(int(count), settings.steps, settings.plan) for count in cells], axis=1)
    for index, counts in enumerate(plan):
        if counts.any():
            yield index, None, counts
    if settings.refine > 0.0:
        for index in range(settings.refine_passes):
            yield _AGAIN + index, None, None
