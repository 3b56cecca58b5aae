"""Bridge: translates between engine and the outside: OSC, MIDI, sound cards, terminal.

- ``osc/``: bytes to messages, the address space made from controls and commands, the sockets.
- ``midi/``: MIDI messages to notes, chords and commands; device ports; clock; notes that leave at their time.
- ``audio/``: sound devices and the null device, one shape.
- ``accompany``, ``band_options``, ``band_view``, ``band_sound``: the live band: its ports, flags, picture, plain tones.
- ``settings``, ``app``, ``view``: flags and TOML to frozen settings; a Session and its ports; the terminal view.
"""
