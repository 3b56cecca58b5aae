"""What is the band's goes to the band; what it cannot take is told before anything changes."""

import pytest

from bridge.app import App
from bridge.band.session_band import concerns_band
from bridge.osc.space import AddressSpace, Routed
from bridge.settings import Settings
from engine.band.controls import BandControls
from engine.errors import ControlError
from engine.messages.session import NOW, BandLoad, BandStart, Panic, Set
from engine.models.tone import ToneControls

SPACE = AddressSpace({"tone": ToneControls()}, BandControls())


def test_controls_and_commands_of_the_band_have_addresses() -> None:
    wanted = Set(("band", "density", "bass"), 0.5)
    assert SPACE.route("/band/density/bass", (0.5,)) == [Routed("/band/density/bass", wanted, NOW)]
    assert SPACE.route("/band/start", ()) == [Routed("/band/start", BandStart(), NOW)]
    assert SPACE.route("/band/load", ("pattern",)) == [Routed("/band/load", BandLoad(name="pattern"), NOW)]
    assert SPACE.voices == ("tone",)


def test_no_voice_may_be_called_band() -> None:
    with pytest.raises(ControlError, match="/band is an address"):
        AddressSpace({"band": ToneControls()})


def test_what_concerns_the_band_is_told_from_what_concerns_voices() -> None:
    assert concerns_band(BandStart())
    assert concerns_band(Set(("band", "steps"), 4))
    assert not concerns_band(Set(("tone", "gain"), 0.0))
    assert not concerns_band(Panic())


def test_without_a_band_its_commands_are_refused_with_a_remedy() -> None:
    with pytest.raises(ControlError, match="--band"):
        App(Settings()).post(BandStart())
