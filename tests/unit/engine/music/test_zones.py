"""MPE zones as they are set up, or as notes show them."""

from engine.music.zones import ChannelZones


def set_up(zones: ChannelZones, manager: int, members: int) -> None:
    for number, value in ((101, 0), (100, 6), (6, members)):
        zones.control(manager, number, value)


def test_a_zone_reaches_from_its_manager_to_its_members() -> None:
    zones = ChannelZones()
    set_up(zones, 0, 4)
    assert zones.reach(0) == {0, 1, 2, 3, 4}
    assert zones.reach(2) == {2}
    assert not zones.is_member(9)
    set_up(zones, 15, 14)
    assert zones.reach(15) == set(range(1, 16))
    assert zones.reach(0) == {0}
    set_up(zones, 15, 0)
    assert zones.reach(15) == {15}


def test_without_a_zone_a_manager_without_notes_speaks_for_the_channels_that_have_some() -> None:
    zones = ChannelZones()
    zones.note(1)
    assert zones.reach(0) == {0}
    zones.note(2)
    assert zones.reach(0) == {0, 1, 2}
    assert zones.reach(5) == {5}
    zones.note(0)
    assert zones.reach(0) == {0}


def test_another_parameter_sets_up_no_zone() -> None:
    zones = ChannelZones()
    for number, value in ((101, 0), (100, 0), (6, 12)):
        zones.control(0, number, value)
    assert zones.reach(0) == {0}
