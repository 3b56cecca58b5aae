"""The same seed gives the same bytes, interrupted or not, and what it says of itself is true."""

import json
from pathlib import Path

import pytest

from training.data.band.command import corpus_main, render_corpus
from training.data.band.folder import CorpusFolder
from training.data.corpus import DataError

HOURS = 0.03  # two pieces or three


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "pieces").iterdir()}


@pytest.mark.usefixtures("tiny_fonts")
def test_interrupted_work_resumes_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = render_corpus(tmp_path / "a", HOURS, 5)
    made = []
    original = CorpusFolder.write

    def write(self: CorpusFolder, piece: object) -> None:
        if made:
            raise KeyboardInterrupt
        made.append(piece)
        original(self, piece)

    with monkeypatch.context() as patch:
        patch.setattr(CorpusFolder, "write", write)
        assert corpus_main([str(tmp_path / "b"), "--hours", str(HOURS), "--seed", "5"]) == 1
    with (tmp_path / "b" / "index.jsonl").open("a") as index:
        index.write('{"number": 1, "dur')  # a line that was cut off
    assert corpus_main([str(tmp_path / "b"), "--hours", str(HOURS), "--seed", "5"]) == 0
    assert contents(tmp_path / "b") == contents(tmp_path / "a")
    assert (tmp_path / "b" / "index.jsonl").read_bytes() == (tmp_path / "a" / "index.jsonl").read_bytes()
    assert sum(line["duration_s"] for line in whole) >= 3600.0 * HOURS
    assert sum(line["duration_s"] for line in whole[:-1]) < 3600.0 * HOURS


@pytest.mark.usefixtures("tiny_fonts")
def test_a_longer_corpus_begins_with_the_shorter_one(tmp_path: Path) -> None:
    short = render_corpus(tmp_path / "a", 0.01, 7)
    before = contents(tmp_path / "a")
    longer = render_corpus(tmp_path / "a", HOURS, 7)
    assert longer[: len(short)] == short
    assert before.items() <= contents(tmp_path / "a").items()


@pytest.mark.usefixtures("tiny_fonts")
def test_another_seed_or_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    render_corpus(tmp_path / "a", 0.001, 1)
    with pytest.raises(DataError, match="'seed': 1"):
        render_corpus(tmp_path / "a", 0.001, 2)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").touch()
    with pytest.raises(DataError, match="choose an empty folder"):
        render_corpus(tmp_path / "b", 0.001, 1)


@pytest.mark.usefixtures("tiny_fonts")
def test_the_summary_says_hours_styles_and_rooms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert corpus_main([str(tmp_path / "a"), "--hours", "0.02"]) == 0
    text = capsys.readouterr().out
    lines = [json.loads(line) for line in (tmp_path / "a" / "index.jsonl").read_text().splitlines()]
    assert f"{len(lines)} pieces" in text
    assert "dropped 0" in text
    assert all(line["style"] in text and line["room"] in text for line in lines)


@pytest.mark.parametrize("flags", [["--hours", "0"], ["--seed", "-1"], ["--jobs", "0"]])
def test_values_out_of_range_are_wrong_usage(tmp_path: Path, flags: list[str]) -> None:
    assert corpus_main([str(tmp_path / "a"), *flags]) == 2


def test_without_fonts_the_message_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.data.band.soundfonts.FOLDERS", (str(tmp_path),))
    assert corpus_main([str(tmp_path / "a")]) == 1
    assert "apt-get install musescore-general-soundfont-lossless" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
