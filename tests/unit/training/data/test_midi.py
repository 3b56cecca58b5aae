"""From folders of MIDI to a store: licences kept out, tunes on one side, interrupted work goes on, losses counted."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.music.midifile import write_midi
from engine.music.score import ROLES, Meter, Note, Score, TempoChange, Track
from engine.music.vocabulary import PAD, Dictionary
from training.data import midi
from training.data.corpus import DataError
from training.data.grids import Grids
from training.data.midi import StoreSettings, prepare
from training.data.pieces import side_of

BARS = 12


def band_file(seed: int, *, meter: tuple[int, int] = (4, 4), triplets: bool = False) -> bytes:
    rng = np.random.default_rng(seed)
    step = 160 if triplets else 240
    lead = tuple(Note(step * i, 72 + int(rng.choice([0, 4, 7, 12])), step - 20) for i in range(BARS * 1920 // step))
    bass = tuple(Note(960 * i, 36 + 7 * (i % 2), 900) for i in range(BARS * 2))
    drums = tuple(Note(480 * i, 36 if i % 2 == 0 else 38, 60) for i in range(BARS * 4))
    piano = tuple(Note(1920 * i, pitch, 1800) for i in range(BARS) for pitch in (60, 64, 67))
    tracks = (Track(lead, 80, False, "melody"), Track(bass, 33, False, "bass"), Track(drums, 0, True, "drums"),
              Track(piano, 0, False, "piano"))  # fmt: skip
    return write_midi(Score(tracks, (TempoChange(0, 110.0),), (Meter(0, *meter),)))


def pack(root: Path, count: int = 6) -> Path:
    root.mkdir()
    rows = ["file,split_uid,licence,style"]
    for number in range(count):
        (root / f"{number}.mid").write_bytes(band_file(number))
        rows.append(f"{number}.mid,tune-{number // 2},{'MIT' if number != 5 else 'GPL-2.0'},rock")
    (root / "waltz.mid").write_bytes(band_file(90, meter=(3, 4)))
    (root / "triplets.mid").write_bytes(band_file(91, triplets=True))
    (root / "broken.mid").write_bytes(b"MThd nothing of the kind")
    rows += [f"{name}.mid,{name},CC0," for name in ("waltz", "triplets", "broken")]
    (root / "index.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return root


def tune_pack(root: Path) -> Path:
    (root / "openewld").mkdir(parents=True)
    lead = Track(tuple(Note(480 * i, 72 + i % 5, 400) for i in range(4 * BARS)), 73, False, "lead")
    for name in ("one", "two"):
        (root / f"openewld/{name}.mid").write_bytes(write_midi(Score((lead,))))
        rows = [f"{4 * bar}\t{4 * bar + 4}\t{('C:maj', 'A:min', 'F:maj', 'G:7')[bar % 4]}" for bar in range(BARS)]
        (root / f"openewld/{name}.chords.tsv").write_text("\n".join(["start\tend\tchord", *rows]) + "\n", "utf-8")
    text = "file,split_uid,licence,style\nopenewld/one.mid,one,Public domain,\nopenewld/two.mid,two,GPL-3.0,\n"
    (root / "index.csv").write_text(text, "utf-8")
    return root


def test_a_pack_becomes_a_store_and_all_is_counted(tmp_path: Path) -> None:
    summary = prepare([pack(tmp_path / "pack")], tmp_path / "store", StoreSettings(least=1, valid=0.0))
    grids = Grids(tmp_path / "store")
    assert [entry.uid for entry in grids.entries] == ["tune-0", "tune-0", "tune-1", "tune-1", "tune-2"]
    assert {entry.licence for entry in grids.entries} == {"MIT"}
    assert summary.left_out["licence"] == 1
    assert sum(summary.left_out.values()) == 4
    assert summary.bars == 5 * BARS
    assert summary.pieces == 5
    assert summary.roles["bass"] == 5 * BARS
    assert summary.roles["string"] == 0
    assert summary.vocabulary == grids.dictionary.size
    assert {line[0] for line in summary.lines()} >= {"files", "bars", "notes", "notes lost", "pieces by licence"}
    assert json.loads((tmp_path / "store/about.json").read_text())["summary"]["pieces"] == 5


def test_grids_hold_what_the_files_play(tmp_path: Path) -> None:
    prepare([pack(tmp_path / "pack")], tmp_path / "store", StoreSettings(least=1, valid=0.0))
    grids = Grids(tmp_path / "store")
    words, whole = grids.dictionary, grids.whole(0)
    assert whole.grid.shape == (14, 16 * BARS)
    bass = whole.grid[2 * ROLES.index("bass")]
    assert np.array_equal(np.nonzero(bass != PAD)[0], np.arange(0, 16 * BARS, 8))
    assert [words.pitches(int(token)) for token in bass[::8][:2]] == [
        (36 + whole.entry.shift,),
        (43 + whole.entry.shift,),
    ]
    piano = whole.grid[2 * ROLES.index("piano")]
    assert words.pitches(int(piano[0])) == tuple(pitch + whole.entry.shift for pitch in (60, 64, 67))
    assert (whole.grid[10:12] == words.empty).all()
    assert not (whole.grid[[0, 1, 2, 3, 4, 5, 8, 9]] >= words.empty).any()
    assert (whole.grid[6:8] == words.empty).all()
    assert np.isin(whole.grid[12], words.roots).all()
    assert np.isin(whole.grid[13], words.kinds).all()


def test_tunes_are_arranged_in_several_styles(tmp_path: Path) -> None:
    packs = [tune_pack(tmp_path / "leadsheets")]
    prepare(packs, tmp_path / "store", StoreSettings(least=1, valid=0.0, versions=4))
    grids = Grids(tmp_path / "store")
    assert len(grids.entries) == 4
    assert {entry.uid for entry in grids.entries} == {"one"}
    assert len({entry.style for entry in grids.entries}) == 4
    window = grids.whole(0)
    roots = (window.chords[0].astype(int) - window.entry.shift) % 12
    assert roots.reshape(-1, 16)[:4, 0].tolist() == [0, 9, 5, 7]


def test_interrupted_work_goes_on_and_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midi, "_SHARD", 2)
    packs, settings = [pack(tmp_path / "pack")], StoreSettings(least=1)
    whole = prepare(packs, tmp_path / "a", settings)
    original, calls = midi.gather, 0

    def dying(*args):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(midi, "gather", dying)
    with pytest.raises(KeyboardInterrupt):
        prepare(packs, tmp_path / "b", settings)
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "b").glob("pieces-*.npz")}
    assert kept
    monkeypatch.setattr(midi, "gather", original)
    again = prepare(packs, tmp_path / "b", settings)
    assert vars(again) == vars(whole)
    assert all((tmp_path / "b" / name).stat().st_mtime_ns == when for name, when in kept.items())
    for path in sorted((tmp_path / "a").glob("*.npz")):
        one, two = np.load(path), np.load(tmp_path / "b" / path.name)
        assert all(np.array_equal(one[key], two[key]) for key in one.files)


def test_held_out_tunes_do_not_shape_the_dictionary(tmp_path: Path) -> None:
    root = tmp_path / "pack"
    root.mkdir()
    rows = ["file,split_uid,licence,style"]
    names = [f"t{number}" for number in range(40)]
    outside = next(name for name in names if side_of(name, 0.2))
    inside = next(name for name in names if not side_of(name, 0.2))
    for name in (inside, outside):
        low = 48 if name == inside else 50
        chord = tuple(Note(480 * i, low + step, 400) for i in range(4 * BARS) for step in (0, 4, 7, 12))
        (root / f"{name}.mid").write_bytes(write_midi(Score((Track(chord, 25),))))
        rows.append(f"{name}.mid,{name},MIT,")
    (root / "index.csv").write_text("\n".join(rows) + "\n", "utf-8")
    prepare([root], tmp_path / "store", StoreSettings(least=1, valid=0.2))
    grids = Grids(tmp_path / "store")
    assert len(grids.pieces(held_out=True)) == len(grids.pieces(held_out=False)) == 1
    trained = grids.whole(grids.pieces(held_out=False)[0]).grid[6]
    words = grids.dictionary
    known = {words.pitches(token) for token in words.ranges["guitar"]} - {(pitch,) for pitch in range(128)}
    assert known == {words.pitches(int(token)) for token in trained if token != PAD}


def test_another_store_is_never_mixed_in(tmp_path: Path) -> None:
    packs = [pack(tmp_path / "pack")]
    prepare(packs, tmp_path / "store", StoreSettings(least=1))
    with pytest.raises(DataError, match="other files or settings"):
        prepare(packs, tmp_path / "store", StoreSettings(least=2))


def test_a_dictionary_can_be_taken_over(tmp_path: Path) -> None:
    packs = [pack(tmp_path / "pack")]
    words = Dictionary.build({})
    (tmp_path / "words.txt").write_text(words.text, "utf-8")
    prepare(packs, tmp_path / "store", StoreSettings(dictionary=str(tmp_path / "words.txt")))
    grids = Grids(tmp_path / "store")
    assert grids.dictionary.text == words.text
    piano = grids.whole(0).grid[8]
    assert {len(words.pitches(int(token))) for token in piano if token != PAD} == {1}


def test_a_folder_of_unknown_licence_is_not_used_unasked(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    (root / "a.mid").write_bytes(band_file(1))
    with pytest.raises(DataError, match="may be used"):
        prepare([root], tmp_path / "store")
    assert prepare([root], tmp_path / "told", StoreSettings(licence="CC0", least=1)).pieces == 1
    assert prepare([root], tmp_path / "own", StoreSettings(any_licence=True, least=1)).pieces == 1


def test_the_command_shows_what_was_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = pack(tmp_path / "pack")
    assert midi.main([str(root), "--out", str(tmp_path / "store")]) == 0
    shown = capsys.readouterr().out
    assert "pieces by licence" in shown
    assert "MIT 5" in shown
    assert midi.main([str(tmp_path / "nothing"), "--out", str(tmp_path / "x")]) == 1
    assert "nothing" in capsys.readouterr().err
