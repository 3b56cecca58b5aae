"""What can be turned while a band plays, and what it makes of the accompanist and of the network."""

import pytest

from engine.band.actions import BandSettings
from engine.band.controls import BandControls, Densities, Registers, band_settings, network_controls, roles_of
from engine.controls import walk, with_value
from engine.errors import ControlError
from engine.models.getmusic.model import GetmusicControls
from engine.music.score import ROLES


def test_every_control_of_the_network_is_one_of_the_band() -> None:
    assert {c.path for c in walk(GetmusicControls())} <= {c.path for c in walk(BandControls())}
    turned = with_value(BandControls(), ("temperature",), 0.5)
    assert network_controls(turned) == GetmusicControls(temperature=0.5)
    assert type(network_controls(turned)) is GetmusicControls


def test_as_it_likes_leaves_the_settings_as_they_were() -> None:
    assert band_settings(BandControls(), BandSettings()) == BandSettings()


def test_wishes_reach_the_accompanist_by_role() -> None:
    controls = BandControls(
        player="piano", targets="bass drum", density=Densities(bass=0.25, drum=0.0), register=Registers(bass=40)
    )
    made = band_settings(controls, BandSettings(seed=4))
    assert (made.player, made.targets, made.seed) == ("piano", ("bass", "drum"), 4)
    assert made.density == {"bass": 0.25, "drum": 0.0}
    assert made.register == {"bass": 40}


@pytest.mark.parametrize(("player", "targets"), [("lead", ""), ("piano", "piano, bass"), ("drum", "lead,drum")])
def test_a_player_is_never_a_target(player: str, targets: str) -> None:
    roles = roles_of(BandControls(player=player, targets=targets))
    assert player not in roles
    assert set(roles) <= set(ROLES)


@pytest.mark.parametrize(("targets", "named"), [("kazoo", "kazoo"), ("lead", "other than yours")])
def test_roles_that_cannot_be_are_named(targets: str, named: str) -> None:
    with pytest.raises(ControlError, match=named):
        roles_of(BandControls(targets=targets))
