"""The live controls of a band, declared once, and the settings of its accompanist made from them."""

from dataclasses import dataclass, fields, replace
from typing import Annotated

from engine.band.actions import BandSettings
from engine.controls import Live
from engine.errors import ControlError
from engine.models.getmusic.model import GetmusicControls
from engine.music.roles import role_named
from engine.music.score import ROLES

__all__ = ["BandControls", "Densities", "NetworkControls", "Registers", "band_settings", "network_controls", "roles_of"]

NetworkControls = GetmusicControls
"""The part of the controls that the network takes."""

_Density = Annotated[float, Live(-1.0, 1.0, "share of sixteenths with a note onset; below 0: the model chooses")]
_Register = Annotated[
    int, Live(-1, 127, "MIDI pitch to play around, reached by octave shifts; below 0: the model chooses")
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Densities:
    """How much each role plays."""

    lead: _Density = -1.0
    bass: _Density = -1.0
    drum: _Density = -1.0
    guitar: _Density = -1.0
    piano: _Density = -1.0
    string: _Density = -1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Registers:
    """How high each role plays; drums have no register."""

    lead: _Register = -1
    bass: _Register = -1
    guitar: _Register = -1
    piano: _Register = -1
    string: _Register = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class BandControls(GetmusicControls):
    """Controls of the band's model and of its accompanist; a change is audible from the next bar made."""

    dynamics: Annotated[float, Live(0.0, 1.0, "how far the band's loudness follows yours: 0 not at all")] = 0.5
    player: Annotated[str, Live(0, 16, "the role you play yourself", choices=ROLES)] = "lead"
    targets: Annotated[str, Live(0, 64, "roles the band plays, such as bass,drum; empty: all but yours")] = ""
    density: Densities = Densities()
    register: Registers = Registers()


def roles_of(controls: BandControls) -> tuple[str, ...]:
    """The roles that the band plays, in the order of `ROLES`.

    Raises:
        ControlError: `targets` names an unknown role, or only the player's.
    """
    words = [role_named(word) or word for word in controls.targets.replace(",", " ").split()]
    wrong = [word for word in words if word not in ROLES]
    if wrong:
        raise ControlError(f"targets takes roles among {', '.join(ROLES)}, got {wrong[0]!r}")
    roles = tuple(role for role in ROLES if role in (words or ROLES) and role != controls.player)
    if not roles:
        raise ControlError(f"targets takes roles other than yours, which is {controls.player}")
    return roles


def band_settings(controls: BandControls, settings: BandSettings) -> BandSettings:
    """`settings` with the values of the controls.

    Raises:
        ControlError: as `roles_of`.
    """
    return replace(
        settings,
        player=controls.player,
        targets=roles_of(controls),
        dynamics=controls.dynamics,
        density={role: share for role in ROLES if (share := getattr(controls.density, role)) >= 0.0},
        register={role: pitch for role in ROLES if role != "drum" and (pitch := getattr(controls.register, role)) >= 0},
    )


def network_controls(controls: BandControls) -> NetworkControls:
    """The controls of the network alone."""
    return GetmusicControls(**{field.name: getattr(controls, field.name) for field in fields(GetmusicControls)})
