"""MIDI: a keyboard's keys become the chord the voices are told, its knobs become controls.

- ``notes``: MIDI messages to the keys held and to control values; pure.
- ``sources``: which inputs there are, and which one a name means.
- ``ports``: an input opened by name, lost and found again; posts what is played.
- ``driver``: the process that owns the device, because drivers may end the process they are in.
"""
