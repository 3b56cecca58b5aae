"""The files of a continuation: what is read is what was meant, and what cannot be read is refused by its name."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.errors import ControlError
from engine.messages.continuation import Continue
from engine.worker import sources
from engine.worker.sources import lacks_hashes, open_sources, rehearse_sources

RATE = 48000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, value in (("in", 0.25), ("hum", 0.5)):
        soundfile.write(tmp_path / f"{name}.wav", np.full((RATE, 2), value, np.float32), RATE, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("no sound")
    with (tmp_path / "huge.wav").open("wb") as huge:
        huge.truncate((1 << 28) + 1)  # takes no room
    return tmp_path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_prompt_and_melody_are_read_with_their_hashes(folder: Path) -> None:
    opened = open_sources(folder, Continue(source="in.wav", melody="hum.wav"))
    assert (opened.file_hash, opened.melody_hash) == (sha256(folder / "in.wav"), sha256(folder / "hum.wav"))
    prompt, melody = opened.audio.prompt, opened.audio.melody
    assert prompt is not None
    assert melody is not None
    assert (prompt.audio.shape, prompt.sample_rate, float(prompt.audio[0, 0])) == ((2, RATE), RATE, 0.25)
    assert float(melody.audio[0, 0]) == 0.5
    command = opened.named_in(Continue(source="in.wav", melody="hum.wav", seed=4))
    assert (command.file_hash, command.melody_hash, command.seed) == (opened.file_hash, opened.melody_hash, 4)


def test_without_a_melody_there_is_none(folder: Path) -> None:
    opened = open_sources(folder, Continue(source="in.wav"))
    assert opened.audio.melody is None
    assert opened.melody_hash == ""


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"source": "nowhere.wav"}, "there is none of this name"),
        ({"source": "../in.wav"}, "name of a sound file in the session folder, got '../in.wav'"),
        ({"source": "a\\in.wav"}, "name of a sound file"),
        ({"source": ""}, "name of a sound file"),
        ({"source": ".."}, "name of a sound file"),
        ({"source": "huge.wav"}, "huge.wav is too large: got more than 256 MiB"),
        ({"source": "text.wav"}, "text.wav cannot be read: text.wav: not readable as sound (Format not recognised"),
        ({"source": "in.wav", "file_hash": "0" * 64}, "in.wav has changed"),
        ({"source": "in.wav", "melody": "hum.wav", "melody_hash": "0" * 64}, "hum.wav has changed"),
        ({"source": "in.wav", "melody": "nowhere.wav"}, "got 'nowhere.wav'"),
        ({"source": "in.wav", "melody": "../hum.wav"}, "got '../hum.wav'"),
    ],
)
def test_what_cannot_be_continued_is_refused(asked: dict[str, str], says: str, folder: Path) -> None:
    with pytest.raises(ControlError, match=re.escape(says)):
        open_sources(folder, Continue(**asked))  # type: ignore[arg-type]


def test_no_file_outside_the_folder_is_read(folder: Path) -> None:
    inside = folder / "session"
    inside.mkdir()
    (inside / "mine.wav").write_bytes((folder / "in.wav").read_bytes())
    (inside / "link.wav").symlink_to(folder / "in.wav")
    for name in ("../in.wav", str(folder / "in.wav"), str(inside / "mine.wav"), "../session/mine.wav", "link.wav"):
        for asked in ({"source": name}, {"source": "mine.wav", "melody": name}):
            with pytest.raises(ControlError, match="wanted the name of a sound file in the session folder"):
                open_sources(inside, Continue(**asked))  # type: ignore[arg-type]


def test_a_session_without_a_folder_has_no_files() -> None:
    with pytest.raises(ControlError, match="there is none of this name"):
        open_sources(None, Continue(source="in.wav"))


def test_a_file_that_unpacks_to_too_much_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_MOST_SAMPLES", 2 * RATE - 1)
    with pytest.raises(ControlError, match=r"in\.wav cannot be read: in\.wav: 96000 samples are too many"):
        open_sources(folder, Continue(source="in.wav"))
    monkeypatch.setattr(sources, "_MOST_SAMPLES", 2 * RATE)
    assert open_sources(folder, Continue(source="in.wav")).file_hash


@pytest.mark.parametrize(
    ("command", "lacks"),
    [
        (Continue(source="a.wav"), True),
        (Continue(source="a.wav", file_hash="0"), False),
        (Continue(source="a.wav", file_hash="0", melody="b.wav"), True),
        (Continue(source="a.wav", melody="b.wav", melody_hash="0"), True),
        (Continue(source="a.wav", file_hash="0", melody="b.wav", melody_hash="0"), False),
    ],
)
def test_every_file_of_a_command_needs_its_hash(command: Continue, lacks: bool) -> None:
    assert lacks_hashes(command) is lacks


def test_a_rehearsal_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rehearse_sources()
    assert not list(tmp_path.iterdir())
