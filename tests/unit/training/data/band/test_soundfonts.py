"""Which keys of a font sound is read from the font, and what is missing is named."""

from pathlib import Path

import pytest

from tests.unit.training.data.band.tiny_font import write_font
from training.data.band import soundfonts
from training.data.band.soundfonts import FONTS, FontError, Preset, find_font, read_presets


def test_keys_of_each_preset_are_those_of_its_zones(tmp_path: Path) -> None:
    presets = read_presets(write_font(tmp_path / "a.sf2", {(0, 0): (12, 108), (0, 43): (0, 57), (128, 0): (27, 87)}))
    assert {key: (p.keys[0], p.keys[-1], len(p.keys)) for key, p in presets.items()} == {
        (0, 0): (12, 108, 97),
        (0, 43): (0, 57, 58),
        (128, 0): (27, 87, 61),
    }
    assert presets[0, 43].name == "Tone 0 43"


def test_a_note_outside_moves_by_whole_octaves_to_the_nearest_key() -> None:
    preset = Preset("", tuple(range(28, 58)))
    assert [preset.nearest(pitch) for pitch in (28, 57, 58, 72, 100, 27, 3)] == [28, 57, 46, 48, 52, 39, 39]
    assert Preset("", (60,)).nearest(61) is None


def test_a_missing_font_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfonts, "FOLDERS", (str(tmp_path),))
    for name, font in FONTS.items():
        with pytest.raises(FontError, match=f"apt-get install {font.package}"):
            find_font(name)
    (tmp_path / FONTS["fluid"].file).touch()
    assert find_font("fluid") == tmp_path / FONTS["fluid"].file
    with pytest.raises(FontError, match="musescore, fluid"):
        find_font("piano")


@pytest.mark.parametrize("data", [b"", b"RIFF\x04\0\0\0WAVE", b"RIFF\x04\0\0\0sfbk"])
def test_what_is_no_font_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "b.sf2").write_bytes(data)
    with pytest.raises(FontError, match=r"b\.sf2"):
        read_presets(tmp_path / "b.sf2")


def test_a_font_cut_short_is_refused(tmp_path: Path) -> None:
    whole = write_font(tmp_path / "c.sf2", {(0, 0): (0, 127)}).read_bytes()
    (tmp_path / "d.sf2").write_bytes(whole[:-120])
    with pytest.raises(FontError, match=r"d\.sf2"):
        read_presets(tmp_path / "d.sf2")
