"""Names from outside never lead out of the session's folder, sums are those of sha256, drafts replace whole files."""

import hashlib
from pathlib import Path

import pytest

from engine.errors import ControlError
from engine.music.files import check_name, file_in, is_portable, replacing, sha256_of, shortened

PATHS = (
    "../secret.wav",
    "/etc/passwd",
    "a/b.wav",
    "a\\b.wav",
    "..\\secret.wav",
    ".",
    "..",
    "C:x.wav",
)
ODD = (
    "",
    " ",
    "a\nb.wav",
    "a\0b.wav",
    "a\x7f.wav",
    "a?.wav",
    "a*.wav",
    "a|b.wav",
    '"a".wav',
    "a<b.wav",
    "x.wav:stream",
)
TRIMMED = ("x.wav.", "x.wav ", "x...")
DEVICES = ("nul", "NUL.wav", "con .wav", "COM1.x.wav", "lpt9.wav", "com\u00b9.wav", "CONIN$", "aux.mid", "prn.flac")
LONG = ("a" * 201, "\u65e5" * 67, "a" * 300 + ".wav", "a" * 5000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A session's folder, with a file in it and a secret beside it."""
    (tmp_path / "secret.wav").write_bytes(b"not yours")
    inside = tmp_path / "session"
    (inside / "a").mkdir(parents=True)
    (inside / "mine.wav").write_bytes(b"mine")
    (inside / "a" / "b.wav").write_bytes(b"deeper")
    return inside


@pytest.mark.parametrize("name", [*PATHS, *ODD, *TRIMMED, *DEVICES, *LONG])
def test_a_name_that_some_system_takes_for_something_else_is_refused(name: str) -> None:
    assert not is_portable(name)


@pytest.mark.parametrize(
    "name",
    ["mine.wav", ".hidden.wav", "take 1.flac", "console.wav", "Gr\u00fc\u00dfe.mid", "a..b.wav", "a" * 200],
)  # fmt: skip
def test_plain_names_are_taken(name: str) -> None:
    assert is_portable(name)
    check_name(name)


def test_a_name_is_checked_without_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda self: 1 // 0)
    monkeypatch.setattr(Path, "stat", lambda self, **_: 1 // 0)
    check_name("in.wav")
    with pytest.raises(ControlError, match="name of a sound file"):
        check_name("/etc/passwd")


@pytest.mark.parametrize("name", ["../secret.wav", "a/b.wav", "../session/mine.wav", "./mine.wav", "mine.wav/"])
def test_a_path_is_refused_though_there_is_a_file(folder: Path, name: str) -> None:
    assert (folder / name.rstrip("/")).is_file()
    with pytest.raises(ControlError, match="wanted the name of a sound file in the session folder, got"):
        file_in(folder, name)


def test_an_absolute_path_is_refused_though_it_is_a_file_of_the_folder(folder: Path) -> None:
    with pytest.raises(ControlError, match="wanted the name of a sound file"):
        file_in(folder, str(folder / "mine.wav"))


def test_only_files_are_found(folder: Path) -> None:
    assert file_in(folder, "mine.wav") == folder / "mine.wav"
    for name in ("a", "nowhere.wav"):
        with pytest.raises(ControlError, match=f"got '{name}': there is none of this name"):
            file_in(folder, name)
    with pytest.raises(ControlError, match="none of this name"):
        file_in(None, "mine.wav")


@pytest.mark.parametrize("name", ["what?.wav", "a|b.wav", "x.wav.", "a" * 251 + ".wav"])
def test_a_file_that_is_there_is_read_under_a_name_that_another_system_refuses(folder: Path, name: str) -> None:
    try:
        (folder / name).write_bytes(b"mine")
    except OSError:
        pytest.skip("this system refuses it, too")
    check_name(name)
    assert file_in(folder, name).read_bytes() == b"mine"


@pytest.mark.parametrize(
    "name", [*PATHS, *DEVICES, "", " ", "a\nb.wav", "a\0b.wav", "x.wav:stream", "a" * 300 + ".wav"]
)
def test_what_may_mean_something_else_is_not_read(folder: Path, name: str) -> None:
    with pytest.raises(ControlError, match="wanted a song in the session folder, got"):
        check_name(name, "a song")
    with pytest.raises(ControlError, match="wanted the name of a sound file in the session folder, got") as refused:
        file_in(folder, name)
    assert not str(refused.value).endswith("there is none of this name")  # the disk has not been asked


def test_links_stay_in_the_folder(folder: Path) -> None:
    try:
        (folder / "out.wav").symlink_to(folder.parent / "secret.wav")
        (folder / "deep.wav").symlink_to(folder / "a" / "b.wav")
        (folder / "in.wav").symlink_to(folder / "mine.wav")
        (folder / "loop.wav").symlink_to(folder / "loop.wav")
        (folder.parent / "link").symlink_to(folder, target_is_directory=True)
    except OSError:
        pytest.skip("links cannot be made here")
    for name in ("out.wav", "deep.wav"):
        with pytest.raises(ControlError, match="a link that leads elsewhere"):
            file_in(folder, name)
    with pytest.raises(ControlError, match="none of this name"):
        file_in(folder, "loop.wav")
    assert file_in(folder, "in.wav").read_bytes() == b"mine"
    assert file_in(folder.parent / "link", "mine.wav").read_bytes() == b"mine"  # the folder itself may be a link


def test_an_error_shows_no_more_than_a_line_of_a_name() -> None:
    assert shortened("a.wav") == "'a.wav'"
    assert len(shortened("a" * 5000)) == 62


def test_a_sum_is_that_of_sha256_and_is_made_piece_by_piece(tmp_path: Path) -> None:
    path, content = tmp_path / "big", bytes(range(256)) * 4096 * 2 + b"end"
    path.write_bytes(content)
    seen: list[int] = []
    assert sha256_of(path, seen.append) == sha256_of(path) == hashlib.sha256(content).hexdigest()
    assert seen == [1 << 20, 2 << 20, (2 << 20) + 3]


def test_a_sum_can_be_stopped(tmp_path: Path) -> None:
    def stop(done: int) -> None:
        raise InterruptedError(f"after {done}")

    (tmp_path / "big").write_bytes(bytes(3 << 20))
    with pytest.raises(InterruptedError, match="after 1048576"):
        sha256_of(tmp_path / "big", stop)


def test_a_draft_takes_the_place_of_a_file_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_text("old")
    with replacing(path) as draft:
        draft.write_text("new")
        assert draft.suffix == ".wav"
        assert path.read_text() == "old"
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("x.wav", "new")]


def test_a_draft_that_failed_or_was_taken_away_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as draft:
            draft.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with replacing(path) as draft:
        draft.write_text("not wanted after all")
        draft.unlink()
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("x.wav", "old")]
