"""Notes are drawn where and when they sound, and what is new stands out."""

from pathlib import Path

import numpy as np
import pytest

from engine.errors import RecordError, ShapeError
from engine.music.score import Note
from engine.offline.pianoroll import Roll, Strip, draw_rolls, save_rolls

BARS = [0, 1920, 3840]
TOP, HEIGHT, LEFT, WIDTH = 36 + 22, 60, 80, 400


def pixels(*notes: Note, new: bool = True, shaded: tuple[int, int] = (0, 0)) -> np.ndarray:
    strip = Strip(name="bass", notes=notes, new=lambda note: new)
    image = draw_rolls([Roll(title="", strips=(strip,))], BARS, width=WIDTH, height=HEIGHT, shaded=shaded)
    return np.asarray(image)[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH].astype(int)


def drawn(picture: np.ndarray) -> np.ndarray:
    """Where notes are: brighter and more coloured than the ground."""
    return (picture.max(axis=2) > 75) & (np.ptp(picture, axis=2) > 25)


def test_a_note_is_where_it_sounds() -> None:
    where = drawn(pixels(Note(960, 40, 480)))
    columns = np.flatnonzero(where.any(axis=0))
    assert abs(columns[0] - WIDTH // 4) <= 1
    assert abs(columns[-1] - WIDTH * 3 // 8) <= 2


def test_higher_notes_are_higher() -> None:
    where = drawn(pixels(Note(0, 40, 960), Note(1920, 52, 960)))
    rows = [np.flatnonzero(where[:, part].any(axis=1)).mean() for part in (slice(2, 90), slice(202, 290))]
    assert rows[1] < rows[0] - HEIGHT / 2


def test_new_notes_are_brighter() -> None:
    old, new = (pixels(Note(0, 40, 960), new=which)[:, 5:90].max() for which in (False, True))
    assert new > 2 * old


def test_what_was_to_be_made_is_shaded() -> None:
    picture = pixels(shaded=(1920, 3840))
    assert picture[10, 300].sum() > picture[10, 100].sum()


def test_notes_outside_and_notes_without_length_do_not_spoil_it() -> None:
    where = drawn(pixels(Note(0, 40, 0), Note(1900, 41, 100_000), Note(50_000, 42, 10)))
    assert where[:, :4].any()
    assert where.any(axis=0)[200:395].all()


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ShapeError):
        draw_rolls([Roll(title="", strips=())], BARS)
    with pytest.raises(ShapeError):
        draw_rolls([Roll(title="", strips=(Strip(name="bass", notes=()),))], [0])


def test_a_picture_is_a_png_or_an_error_of_ours(tmp_path: Path) -> None:
    rolls = [Roll(title="a", strips=(Strip(name="bass", notes=(Note(0, 40, 9),)),))]
    save_rolls(tmp_path / "a.png", rolls, BARS)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(RecordError):
        save_rolls(tmp_path / "none" / "a.png", rolls, BARS)
