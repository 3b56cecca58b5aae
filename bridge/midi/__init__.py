"""MIDI: a keyboard's keys become the chord the voices are told, its knobs become controls.

- ``notes``: MIDI messages to the keys held and to control values; pure.
- ``ports``: which inputs there are; an input that is opened by name, lost and found again.
"""
