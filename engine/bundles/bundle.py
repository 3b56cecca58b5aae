"""Find, check and open a bundle: a folder of graphs that were exported together.

A bundle is named by its folder. It is looked for, in this order, at the path itself, in the folders of the environment
variable ``RIPIENO_BUNDLES`` (each a bundle, or a folder of bundles), and among the starters that come with the package.
``tone`` is always there and needs no files. Describing reads only the files' metadata; graphs are loaded by opening.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from engine.errors import BundleError, EngineError
from engine.graphs.graph import open_graph
from engine.graphs.manifest import Manifest
from engine.graphs.metadata import read_manifest
from engine.models.families import FAMILIES, Family, OpenBundle
from engine.music.files import sha256_of
from engine.processes import cores
from engine.protocols.accompanist import AccompanistModel
from engine.protocols.streamer import Streamer

__all__ = [
    "FOLDERS_VARIABLE",
    "TONE",
    "BundleInfo",
    "bundles",
    "describe",
    "find",
    "first_for",
    "makes_sound",
    "open_accompanist",
    "open_model",
    "open_streamer",
]

FOLDERS_VARIABLE: Final = "RIPIENO_BUNDLES"
TONE: Final = next(row.name for row in FAMILIES.values() if row.built_in)
"""The bundle that is always there."""

_STARTERS: Final = Path(__file__).parents[1] / "starter"
_SUMS: Final = "SHA256SUMS"
_MAX_GRAPHS: Final = 16
_MAX_SUMS: Final = 1 << 16  # bytes of the list of sums
_LARGE: Final = 64 << 20  # bytes of a graph that one core cannot read often enough to play live
_SHOWN: Final = 100  # characters of a name, in an error


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleInfo:
    """What a bundle says about itself.

    Args:
        name: to ask for it by. path: its folder; None for what needs no files.
        family: the model. build: how weights are kept. identity: id shared by its graphs.
        hash: sha256 over the sorted sha256 sums of its graph files: equal hash, equal sound.
        licence, source: of the weights.
        roles: its graphs, sorted. facts: what its model needs to know.
        controls: the default controls, a frozen dataclass (see `engine.controls`).
    """

    name: str
    path: Path | None
    family: str
    build: str
    identity: str
    hash: str
    licence: str
    source: str
    roles: tuple[str, ...]
    controls: object
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def streams(self) -> bool:
        """Whether it makes sound, as a voice; else it makes notes."""
        return FAMILIES[self.family].streams

    @property
    def continues(self) -> bool:
        """Whether it continues sound that it is given."""
        return FAMILIES[self.family].continues

    @property
    def voice(self) -> str:
        """Name of its first voice, in addresses."""
        return FAMILIES[self.family].voice_name

    def takes(self, verb: str) -> bool:
        """Whether the command ``ripieno VERB`` takes it; for the commands of `Family.verbs`."""
        return verb in FAMILIES[self.family].verbs


def bundles() -> list[BundleInfo]:
    """Every bundle that can be asked for by name; those that are damaged are left out."""
    found: list[BundleInfo] = []
    for name in _names():
        try:
            found.append(describe(name))
        except EngineError:
            continue
    return found


def find(reference: str, *, paths: bool = True) -> Path:
    """The folder of a bundle.

    Args:
        reference: a name, or the path of a folder.
        paths: whether paths are taken; not where `reference` comes from outside the machine.
    Raises:
        BundleError: there is none; the message names what there is.
    """
    if paths and _is_bundle(_path(reference)):
        return _path(reference).resolve()
    for name, folder in _folders():
        if name == reference:
            return folder
    names = ", ".join(_names())
    reference = reference if len(reference) <= _SHOWN else f"{reference[: _SHOWN - 3]}..."
    raise BundleError(f"no bundle '{reference}'; there are {names} ({FOLDERS_VARIABLE} names folders with more)")


def describe(reference: str, *, paths: bool = True) -> BundleInfo:
    """What a bundle is, checked as a set, without loading it.

    Args:
        reference, paths: as for `find`.
    Raises:
        BundleError: there is no such bundle, or its files are damaged or do not belong together.
        ManifestError: a graph does not say what it must.
    """
    row = FAMILIES.get(reference)
    if row is not None and row.built_in:
        return BundleInfo(
            name=row.name, path=None, family=row.name, build="none", identity=row.name, hash="", licence="MIT",
            source="part of this program", roles=(), controls=row.controls(row.facts.from_mapping({})),
        )  # fmt: skip
    folder = find(reference, paths=paths)
    files = _files(folder)
    manifests = {file: read_manifest(file) for file in files}
    first = _checked_set(folder, manifests)
    row = FAMILIES[first.family]
    sums = {file: _sum(file) for file in files}
    _check_sums(folder, sums)
    return BundleInfo(
        name=folder.name,
        path=folder,
        family=first.family,
        build=first.build,
        identity=first.bundle,
        hash=hashlib.sha256("".join(sorted(sums.values())).encode()).hexdigest(),
        licence=first.licence,
        source=first.source,
        roles=tuple(sorted(manifest.role for manifest in manifests.values())),
        controls=row.controls(row.facts.from_mapping(first.facts)),
        facts=first.facts,
    )


def makes_sound(reference: str, *, paths: bool = True) -> bool:
    """Whether a bundle can be a voice; what the first of its graphs says, without reading or hashing the others.

    For who may not wait: `open_streamer` checks the whole bundle in the voice's process.

    Args:
        reference, paths: as for `find`.
    Raises:
        BundleError: there is no such bundle, or its first file is no graph.
        ManifestError: that does not say what it must.
    """
    if reference == TONE:
        return True
    folder = find(reference, paths=paths)
    return _family_of(read_manifest(_files(folder)[0]), folder).streams


def first_for(verb: str) -> str:
    """The name of the first bundle that ``ripieno VERB`` takes.

    Raises:
        BundleError: there is none.
    """
    for info in bundles():
        if info.takes(verb):
            return info.name
    raise BundleError(
        f"there is no bundle for 'ripieno {verb}' here; put one into a folder that {FOLDERS_VARIABLE} names"
    )


def open_streamer(reference: str, *, threads: int = 0, provider: str = "cpu", paths: bool = True) -> Streamer[Any, Any]:
    """Check a bundle and load it as a streamer. Takes up to seconds and holds the GIL (see `open_graph`).

    Args:
        reference, paths: as for `find`.
        threads, provider: as for `open_graph`; 0 threads: one, or all cores for a language model that is large.
    Raises:
        BundleError, ManifestError: as `describe`, or a graph cannot be run here.
    """
    info = describe(reference, paths=paths)
    row = FAMILIES[info.family]
    if not row.streams:
        verbs = " or ".join(f"'ripieno {verb}'" for verb in row.verbs)
        raise BundleError(f"{info.name} makes {row.makes}, not sound; use it with {verbs}")
    return row.streamer(_opened(info, threads or _threads(info), provider))


def open_model(
    reference: str,
    verb: str,
    *,
    threads: int = 1,
    provider: str = "cpu",
    paths: bool = True,
    without: AbstractSet[str] = frozenset(),
) -> Any:
    """Check a bundle and load its model for a command. Takes up to seconds and holds the GIL (see `open_graph`).

    Args:
        reference, paths: as for `find`.
        verb: the command that it is for, ``infill``, ``accompany`` or ``continue``.
        threads, provider: as for `open_graph`.
        without: roles of optional graphs that are not wanted, such as ``text``: saves their memory.
    Returns:
        What `Family.open` of the bundle's family returns.
    Raises:
        BundleError, ManifestError: as `describe`, or the command does not take it, or a graph cannot be run here.
    """
    info = describe(reference, paths=paths)
    if not info.takes(verb):
        names = ", ".join(other.name for other in bundles() if other.takes(verb)) or "none here"
        raise BundleError(
            f"{info.name} does not work with 'ripieno {verb}'; bundles that do: {names} "
            f"({FOLDERS_VARIABLE} names folders)"
        )
    return _opened(info, threads, provider, without)


def open_accompanist(reference: str, *, threads: int = 1) -> AccompanistModel:
    """Check a bundle and load it as an accompanist, ready to answer in time.

    Raises:
        BundleError, ManifestError: as `open_model` for ``accompany``.
    """
    model = open_model(reference, "accompany", threads=threads)
    accompanist = FAMILIES[describe(reference).family].accompanist
    assert accompanist is not None, "a family that takes 'accompany' says how"
    return accompanist(model)


def _opened(info: BundleInfo, threads: int, provider: str, without: AbstractSet[str] = frozenset()) -> Any:
    """The model of a bundle that was described."""
    row, files = FAMILIES[info.family], _by_role(info)
    needed = next(each for each in row.graphs if set(each) <= set(info.roles))
    return row.open(
        OpenBundle(
            folder=info.path or Path(),
            roles=tuple(role for role in info.roles if role not in without),
            needed=needed,
            facts=row.facts.from_mapping(info.facts),
            graph=lambda role: open_graph(files[role], threads=threads, provider=provider),
        )
    )


def _by_role(info: BundleInfo) -> dict[str, Path]:
    """The files of a bundle by the roles of their graphs."""
    return {} if info.path is None else {read_manifest(file).role: file for file in _files(info.path)}


def _threads(info: BundleInfo) -> int:
    """Threads of a voice by default."""
    large = any(file.stat().st_size > _LARGE for file in _by_role(info).values())
    return cores() if large and FAMILIES[info.family].all_cores else 1


def _family_of(manifest: Manifest, folder: Path) -> Family:
    """The row of a bundle's family."""
    row = FAMILIES.get(manifest.family)
    if row is None or row.built_in:
        raise BundleError(f"{folder} is of family '{manifest.family}', which this version cannot play; update it")
    return row


def _path(text: str) -> Path:
    """The path that a text means; one of a user who is not here stays as it is written."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def _is_bundle(folder: Path) -> bool:
    """Whether there are graphs; nothing is where a name is too long for a file, or a folder closed to us."""
    try:
        return folder.is_dir() and any(folder.glob("*.onnx"))
    except OSError:
        return False


def _within(root: Path) -> list[Path]:
    """What is in a folder, by name; nothing where there is none that we may look into."""
    try:
        return sorted(root.iterdir()) if root.is_dir() else []
    except OSError:
        return []


def _folders() -> Iterator[tuple[str, Path]]:
    """Name and folder of every bundle that can be asked for by name, those of the user first."""
    roots = [_path(part) for part in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if part]
    for root in [*roots, _STARTERS]:
        if _is_bundle(root):
            yield root.resolve().name, root.resolve()
        else:
            for folder in _within(root):
                if _is_bundle(folder):
                    yield folder.name, folder.resolve()


def _names() -> list[str]:
    return list(dict.fromkeys([TONE, *(name for name, _ in _folders())]))


def _files(folder: Path) -> list[Path]:
    """The graph files of a bundle, by name."""
    files = sorted(folder.glob("*.onnx"))
    if len(files) > _MAX_GRAPHS:
        raise BundleError(f"{folder} holds {len(files)} graphs, a bundle has at most {_MAX_GRAPHS}; split the folder")
    return files


def _checked_set(folder: Path, manifests: Mapping[Path, Manifest]) -> Manifest:
    """One of the manifests, after all have been found to belong together."""
    every = list(manifests.values())
    first = every[0]
    for name in ("family", "bundle", "build"):
        values = sorted({str(getattr(manifest, name)) for manifest in every})
        if len(values) > 1:
            raise BundleError(f"{folder} mixes graphs of {name} {' and '.join(values)}; export the bundle again")
    if any(manifest.facts != first.facts for manifest in every):
        raise BundleError(f"the graphs of {folder} do not agree on their facts; export the bundle again")
    row = _family_of(first, folder)
    roles = [manifest.role for manifest in every]
    missing = min((sorted(set(each) - set(roles)) for each in row.graphs), key=len)
    if missing or len(set(roles)) < len(roles):
        problem = f"lacks {', '.join(missing)}" if missing else f"has a role twice ({', '.join(sorted(roles))})"
        raise BundleError(f"{folder} {problem}; fetch or export the bundle again")
    return first


def _sum(file: Path) -> str:
    try:
        stat = file.stat()
        return _sum_of(file, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise BundleError(f"{file} cannot be read ({error.strerror}); check the bundle's folder") from None


@lru_cache(maxsize=64)
def _sum_of(file: Path, size: int, changed_ns: int) -> str:
    """sha256 of a file; size and time make a changed file another one to the cache."""
    return sha256_of(file)


def _check_sums(folder: Path, sums: Mapping[Path, str]) -> None:
    """Compare with the bundle's list of sums (as written by the command sha256sum), if it has one."""
    listing = folder / _SUMS
    if not listing.exists():
        return
    try:
        if listing.stat().st_size > _MAX_SUMS:
            raise BundleError(f"{listing} is too long for a list of sums; write it with 'sha256sum *.onnx'")
        lines = [line.split(maxsplit=1) for line in listing.read_text("utf-8").splitlines() if line.strip()]
        listed = {name.strip().lstrip("*"): value.lower() for value, name in lines}
    except (OSError, ValueError):
        raise BundleError(f"{listing} cannot be read as a list of sums; write it with 'sha256sum *.onnx'") from None
    wrong = sorted(file.name for file, value in sums.items() if listed.get(file.name) != value)
    wrong += sorted(name for name in listed if name.endswith(".onnx") and name not in {file.name for file in sums})
    if wrong:
        raise BundleError(f"{folder}: {', '.join(wrong)} not as listed in {_SUMS}; fetch the bundle again")
