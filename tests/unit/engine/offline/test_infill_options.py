"""InfillOptions as text: what they mean, and what is said of those that mean nothing."""

import pytest

from engine.errors import ControlError
from engine.models.getmusic.model import FillSettings
from engine.offline.infill_options import InfillOptions, infill_options


def test_options_become_settings_and_limits() -> None:
    made = infill_options(
        "temperature=0.9 pull=3 bass.temperature=0.5 piano.top_p=0.8 drum.density=0.5 lead.rests=-1 plan=linear "
        "bass.range=28-52 bass.tones=chord piano.tones=scale guitar.tones=all refine=0.2",
        FillSettings(steps=4, seed=9),
    )
    settings = made.settings
    assert (settings.steps, settings.seed, settings.temperature, settings.plan) == (4, 9, 0.9, "linear")
    assert (settings.temperatures, settings.top_ps) == ({"bass": 0.5}, {"piano": 0.8})
    assert (settings.densities, settings.rests, settings.refine) == ({"drum": 0.5}, {"lead": -1.0}, 0.2)
    assert (made.pull, made.ranges) == (3.0, {"bass": (28, 52)})
    assert (made.chord_tones, made.scale_tones) == (("bass",), ("piano",))


def test_no_options_give_the_defaults() -> None:
    assert infill_options("  ") == InfillOptions()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("loud=1", "NAME is one of temperature"),
        ("temperature", r"temperature takes 0\.\.2, got ''"),
        ("temperature=nan", "temperature takes"),
        ("flute.density=0.5", "options of one track begin with lead"),
        ("bass.density=1.5", r"bass.density takes 0\.\.1"),
        ("bass.range=60-40", "such as 28-52"),
        ("bass.tones=blue", "all, scale or chord"),
        ("plan=official temperature=0.5", "official plan"),
    ],
)
def test_what_means_nothing_is_said(text: str, says: str) -> None:
    with pytest.raises(ControlError, match=says):
        infill_options(text)
