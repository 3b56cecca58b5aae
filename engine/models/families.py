"""One row per model family: all that the rest of the program knows of it. A new family is one row and its folder.

Describing a bundle imports this module, so that only the light ``facts`` modules are imported at its top; streamers,
models and their controls are imported by the functions that make them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, Self

from engine.graphs.graph import Graph
from engine.models.getmusic.facts import GetmusicFacts
from engine.models.musicgen.facts import MusicgenFacts
from engine.models.musika.facts import MusikaFacts
from engine.models.musika_live.facts import MusikaLiveFacts
from engine.protocols.accompanist import AccompanistModel
from engine.protocols.streamer import Streamer

__all__ = ["FAMILIES", "Family", "FamilyFacts", "NoFacts", "OpenBundle"]


class FamilyFacts(Protocol):
    """Typed facts of a family."""

    @classmethod
    def from_mapping(cls, facts: Mapping[str, Any], /) -> Self:
        """Read what a manifest says; ManifestError if a fact is missing or makes no sense."""
        ...

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values for a manifest."""
        ...


@dataclass(frozen=True, slots=True)
class NoFacts:
    """Facts of a family that needs none."""

    @classmethod
    def from_mapping(cls, facts: Mapping[str, Any]) -> "NoFacts":
        """Whatever the manifest says, nothing of it is needed."""
        return cls()

    def to_mapping(self) -> dict[str, Any]:
        """Nothing."""
        return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenBundle:
    """What a model is made of.

    Args:
        folder: of the bundle; for files beside its graphs.
        roles: the graphs that may be loaded.
        needed: the set of `Family.graphs` that is there.
        facts: of the family's own type.
        graph: loads the graph of a role; takes up to seconds.
    """

    folder: Path
    roles: tuple[str, ...]
    needed: tuple[str, ...]
    facts: Any
    graph: Callable[[str], Graph]


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One kind of model.

    Args:
        name: as manifests say it.
        makes: ``sound`` (a voice can play it) or ``notes``.
        graphs: the sets of graphs of which a bundle needs one; others are optional. An empty set: no files at all.
        facts: the type of its facts.
        controls: default controls of a bundle with these facts; of None: what documentation lists.
        open: the model of a bundle.
        stream: the streamer of a model; None where the model is the streamer, or makes notes.
        accompanist: a model as accompanist, ready to answer in time; None where it cannot accompany.
        verbs: commands beside those of voices that take its bundles, such as ``infill``.
        voice: name of its voices in addresses; the family's name if empty.
        about: what is played, where several families have voices of one name.
        all_cores: whether a bundle with a large graph uses all cores by default; otherwise one.
        bench: module of ``engine.bench`` that measures it; empty: as a streamer, chunk by chunk.
    """

    name: str
    makes: Literal["sound", "notes"]
    graphs: tuple[tuple[str, ...], ...]
    facts: type[FamilyFacts]
    controls: Callable[[Any], object]
    open: Callable[[OpenBundle], Any]
    stream: Callable[[Any], Streamer[Any, Any]] | None = None
    accompanist: Callable[[Any], AccompanistModel] | None = None
    verbs: tuple[str, ...] = ()
    voice: str = ""
    about: str = ""
    all_cores: bool = False
    bench: str = ""

    @property
    def built_in(self) -> bool:
        """Whether it needs no files: then its name is a bundle's name, too."""
        return not any(self.graphs)

    @property
    def voice_name(self) -> str:
        """Name of its voices in addresses."""
        return self.voice or self.name

    @property
    def streams(self) -> bool:
        """Whether a voice can play it."""
        return self.makes == "sound"

    @property
    def continues(self) -> bool:
        """Whether it continues sound that it is given."""
        return "continue" in self.verbs

    def streamer(self, model: Any) -> Streamer[Any, Any]:
        """The streamer of an opened model."""
        streamer: Streamer[Any, Any] = model if self.stream is None else self.stream(model)
        return streamer


def _tone_controls(facts: NoFacts | None) -> object:
    from engine.models.tone import ToneControls

    return ToneControls()


def _open_tone(bundle: OpenBundle) -> Streamer[Any, Any]:
    from engine.models.tone import ToneStreamer

    return ToneStreamer()


def _musika_controls(facts: MusikaFacts | None) -> object:
    from engine.models.musika.streamer import MusikaControls, musika_controls

    return MusikaControls() if facts is None else musika_controls(facts)


def _open_musika(bundle: OpenBundle) -> Streamer[Any, Any]:
    from engine.models.musika.streamer import MusikaStreamer

    return MusikaStreamer(*map(bundle.graph, bundle.needed))


def _musika_live_controls(facts: MusikaLiveFacts | None) -> object:
    from engine.models.musika_live.streamer import MusikaLiveControls

    return MusikaLiveControls()


def _open_musika_live(bundle: OpenBundle) -> Streamer[Any, Any]:
    from engine.models.musika_live.streamer import MusikaLive

    return MusikaLive(*map(bundle.graph, bundle.needed))


def _getmusic_controls(facts: GetmusicFacts | None) -> object:
    from engine.models.getmusic.model import GetmusicControls

    return GetmusicControls()


def _open_getmusic(bundle: OpenBundle) -> Any:
    from engine.models.getmusic.model import Getmusic

    return Getmusic.of({role: bundle.graph(role) for role in bundle.needed})


def _getmusic_accompanist(model: Any) -> AccompanistModel:
    from engine.models.getmusic.accompanist import GetmusicAccompanist

    accompanist = GetmusicAccompanist(model)
    accompanist.warm()
    return accompanist


def _musicgen_controls(facts: MusicgenFacts | None) -> object:
    from engine.models.musicgen.model import controls_for
    from engine.models.musicgen.streamer import WordedControls, live_controls

    return WordedControls() if facts is None else live_controls(controls_for(facts), worded=facts.worded)


def _open_musicgen(bundle: OpenBundle) -> Any:
    from engine.models.musicgen.model import Musicgen
    from engine.models.t5 import TextEncoder, read_tokenizer

    facts, text = bundle.facts, None
    if "text" in bundle.roles:
        tokenizer = read_tokenizer(bundle.folder, facts.tokenizer)
        text = TextEncoder(bundle.graph("text"), tokenizer, facts.text_length)
    return Musicgen({role: bundle.graph(role) for role in bundle.roles if role != "text"}, text)


def _stream_musicgen(model: Any) -> Streamer[Any, Any]:
    from engine.models.musicgen.streamer import MusicgenLive

    return MusicgenLive(model)


_ROWS: Final = (
    Family(
        name="musika_live", makes="sound", graphs=(("generator", "decoder"),), facts=MusikaLiveFacts,
        controls=_musika_live_controls, open=_open_musika_live, voice="musika", about="musika-live",
    ),
    Family(
        name="musika", makes="sound", graphs=(("generator", "decoder"),), facts=MusikaFacts,
        controls=_musika_controls, open=_open_musika, about="a bundle of the published networks",
    ),
    Family(
        name="musicgen", makes="sound", graphs=(("lm", "latent", "upsample"), ("lm", "decode")), facts=MusicgenFacts,
        controls=_musicgen_controls, open=_open_musicgen, stream=_stream_musicgen, verbs=("continue",),
        all_cores=True, bench="musicgen",
    ),
    Family(
        name="getmusic", makes="notes", graphs=(("network",), ("past", "window")), facts=GetmusicFacts,
        controls=_getmusic_controls, open=_open_getmusic, accompanist=_getmusic_accompanist,
        verbs=("infill", "accompany"),
    ),
    Family(
        name="tone", makes="sound", graphs=((),), facts=NoFacts, controls=_tone_controls, open=_open_tone,
    ),
)  # fmt: skip

FAMILIES: Final[dict[str, Family]] = {row.name: row for row in _ROWS}
"""Every family by its name; of several with voices of one name, that of the starter bundle first."""
