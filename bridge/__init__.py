"""Bridge: translates between engine and the outside: OSC, MIDI, sound cards, terminal.

- ``osc/``: bytes to messages, the address space made from controls and commands, the sockets.
- ``midi/``: MIDI messages to notes, chords and commands; device ports; clock.
- ``audio/``: sound devices and the null device, one shape.
- ``settings``, ``app``, ``view``: flags and TOML to frozen settings; a Session and its ports; the terminal view.
"""
