"""Two tiny fonts in place of the real ones, under their names."""

from pathlib import Path

import pytest

from tests.unit.training.data.band.tiny_font import write_font
from training.data.arrange.instruments import KITS
from training.data.band import soundfonts


@pytest.fixture
def tiny_fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the fonts; FluidSynth must be installed."""
    pytest.importorskip("fluidsynth", reason="FluidSynth is not installed", exc_type=ImportError)
    presets = {(0, program): (36, 84) for program in range(128)} | {(128, kit): (27, 87) for kit in KITS}
    folder = tmp_path / "fonts"
    folder.mkdir()
    for font in soundfonts.FONTS.values():
        write_font(folder / font.file, presets)
    monkeypatch.setattr(soundfonts, "FOLDERS", (str(folder),))
    return folder
