"""Licences are decided file by file; packs are read in order; only 4/4 is taken; chords land on their beats."""

import io
import tarfile
from pathlib import Path

import pytest

from engine.music.harmony import NO_CHORD, Chord
from engine.music.score import Meter, Note, Score, TempoChange, Track
from training.data.licences import may_ship
from training.data.pieces import NotePiece, read_pieces, side_of, tune_of, write_pieces
from training.data.tunes import BAR, Pack, TuneError, chord_bars, cut, on_grid, read_chords, stretches


@pytest.mark.parametrize(
    ("licence", "ships"),
    [
        ("MIT", True),
        ("BSD-3-Clause", True),
        ("CC0-1.0 (score)", True),
        ("CC-BY-4.0", True),
        ("CC BY 3.0", True),
        ("Public Domain", True),
        ("Public domain work (authors died 1955 or earlier, published 1930 or earlier); MIT data set", True),
        ("GPL-2.0", False),
        ("GPL-3.0", False),
        ("LGPL-2.1", False),
        ("Artistic-1.0", False),
        ("CC-BY-SA-3.0", False),
        ("CC-BY-NC-4.0", False),
        ("CC-BY-ND-4.0", False),
        ("MIT (POP909) + GPL-2.0-or-later accompaniment patterns (MMA)", False),
        ("public-domain tune (OpenEWLD) + GPL-2.0-or-later accompaniment patterns (MMA)", False),
        ("unknown", False),
        ("", False),
        ("all rights reserved", False),
    ],
)
def test_only_permissive_files_may_be_shipped_from(licence: str, ships: bool) -> None:
    assert may_ship(licence) is ships


def test_every_pack_is_decided_by_its_rows() -> None:
    packs = Path(__file__).parents[5] / "shared/data"
    if not packs.is_dir():
        pytest.skip("../shared/data is not here")
    kept = {}
    for name in ("arranged_bands", "multitrack_game", "leadsheets", "groove_drums"):
        with Pack(packs / f"{name}.tar.gz") as pack:
            items = pack.items()
        kept[name] = (sum(may_ship(item.licence) for item in items), len(items))
    assert kept == {
        "arranged_bands": (0, 1546),
        "multitrack_game": (241, 331),
        "leadsheets": (142, 1074),
        "groove_drums": (1041, 1041),
    }


def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pack"
    root.mkdir()
    (root / "b.mid").write_bytes(b"b")
    (root / "a.mid").write_bytes(b"a")
    (root / "index.csv").write_text("file,split_uid,licence,style\nb.mid,tune,MIT,rock\na.mid,tune,GPL-2.0,\n")
    return root


def test_an_archive_reads_like_its_folder(tmp_path: Path) -> None:
    root = folder(tmp_path)
    with tarfile.open(tmp_path / "pack.tar.gz", "w:gz") as archive:
        archive.add(root, "pack")
    with Pack(root) as plain, Pack(tmp_path / "pack.tar.gz") as packed:
        assert plain.items() == packed.items()
        assert [item.file for item in plain.items()] == ["b.mid", "a.mid"]
        assert plain.read("a.mid") == packed.read("a.mid") == b"a"
        with pytest.raises(TuneError, match="no file c"):
            packed.read("c.mid")


def test_a_folder_without_an_index_has_the_licence_it_is_told(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "index.csv").unlink()
    with Pack(root) as unknown, Pack(root, "CC0") as told:
        assert [(item.file, item.licence) for item in unknown.items()] == [("a.mid", "unknown"), ("b.mid", "unknown")]
        assert {item.licence for item in told.items()} == {"CC0"}
        assert len({item.uid for item in told.items()}) == 2


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(io.BytesIO(b"nothing").getvalue())
    with pytest.raises(TuneError, match=r"cannot|can be read"), Pack(tmp_path / "x.tar.gz"):
        pass


def test_versions_of_a_tune_stay_on_one_side() -> None:
    uids = [f"pop909_{number:03d}" for number in range(1000)]
    assert all(side_of(uid, 0.1) == side_of(f"band_{uid}", 0.1) for uid in uids)
    assert 60 < sum(side_of(uid, 0.1) for uid in uids) < 140
    assert not any(side_of(uid, 0.0) for uid in uids)
    assert tune_of("band_ewld_Aloha") == "ewld_Aloha"


def test_chord_labels_of_all_packs_are_read() -> None:
    text = "a\tb\tc\n0\t4\tF#:min7/b7\n4\t6\tBb:maj/D\n6\t8\tN\n8\t9\tC:sus4(b7)\n9\t10\tEb:hdim7\n10\t12\tG:weird(9)\n"
    chords = [row[2] for row in read_chords(text)]
    assert chords == [
        Chord(6, "min7", 4),
        Chord(10, "maj", 2),
        NO_CHORD,
        Chord(0, "7sus4", 0),
        Chord(3, "min7b5", 3),
        Chord(7, "maj", 7),
    ]
    with pytest.raises(TuneError, match="wanted start"):
        read_chords("h\n0\tx\tC:maj\n")


def test_chords_share_their_bars() -> None:
    rows = read_chords("h\n2\t6\tC:maj\n6\t8\tG:maj\n8\t9\tA:min\n9\t12\tF:maj\n12\t40\tE:min\n")
    c, g, a, f, e = (
        Chord(root, quality, root) for root, quality in ((0, "maj"), (7, "maj"), (9, "min"), (5, "maj"), (4, "min"))
    )
    assert chord_bars(rows, 960, 3) == ((c,), (g, g, a, f), (f, e))
    assert chord_bars(rows, 0, 1) == ((NO_CHORD, c),)
    assert chord_bars(rows, 9600 * 4, 1) == ((NO_CHORD,),)


def score(meters, notes=((0, 60),)) -> Score:
    track = Track(tuple(sorted(Note(start, pitch, 240) for start, pitch in notes)))
    return Score((track,), (TempoChange(0, 100.0), TempoChange(BAR * 10, 90.0)), tuple(Meter(*m) for m in meters))


def test_only_runs_of_four_beats_are_taken() -> None:
    end = ((BAR * 40 - 240, 60),)
    assert stretches(score([(0, 4, 4)], end)) == [(0, 40)]
    assert stretches(score([(0, 3, 4)], end)) == []
    assert stretches(score([(0, 4, 4), (BAR * 9, 3, 4), (BAR * 9 + 1440, 4, 4)], end)) == [(0, 9), (BAR * 9 + 1440, 31)]
    assert stretches(score([(0, 4, 4), (BAR * 9, 2, 2)], end)) == [(0, 40)]
    assert stretches(score([(0, 4, 4), (BAR * 5, 6, 8)], end)) == []


def test_a_stretch_is_a_score_of_its_own() -> None:
    made = cut(score([(0, 4, 4)], ((0, 60), (BAR * 10 + 120, 62), (BAR * 11 - 120, 64), (BAR * 11, 65))), BAR * 10, 1)
    assert [(n.start, n.pitch, n.length) for n in made.tracks[0].notes] == [(120, 62, 240), (1800, 64, 120)]
    assert made.tempos == (TempoChange(0, 90.0),)


def test_triplets_are_off_the_grid() -> None:
    straight = tuple(Note(120 * index + (index % 3) * 6, 60, 100) for index in range(64))
    triplets = tuple(Note(160 * index, 60, 100) for index in range(64))
    assert on_grid(straight) == 1.0
    assert on_grid(triplets) < 0.5
    assert on_grid(()) == 1.0


def test_pieces_come_back_from_a_shard(tmp_path: Path) -> None:
    notes = (Note(0, 60, 240, 70), Note(120, 64, 0, 71))
    tracks = tuple(
        Track(notes if role in (0, 4) else (), program, role == 2, name)
        for role, (name, program) in enumerate(
            [("lead", 80), ("bass", 32), ("drum", 0), ("guitar", 25), ("piano", 0), ("string", 48)]
        )
    )
    one = NotePiece("a#0", "uid", "MIT", "rock", Score(tracks, (TempoChange(0, 97.0),)), (Chord(2, "min7", 9),) * 16)
    two = NotePiece(
        "b#0", "uid2", "CC0", "", Score(tracks[:1] + tuple(Track((), t.program, t.drums, t.name) for t in tracks[1:]))
    )
    write_pieces(tmp_path / "pieces-0.npz", [one, two], {"files": 2})
    assert read_pieces(tmp_path / "pieces-0.npz") == ([one, two], {"files": 2})
    write_pieces(tmp_path / "pieces-1.npz", [])
    assert read_pieces(tmp_path / "pieces-1.npz") == ([], None)
