"""Bridge: translates between engine and the outside: OSC, MIDI, sound cards, terminal.

- ``osc/``: bytes to messages, the address space made from controls and commands, the sockets.
- ``midi/``: MIDI messages to notes, chords and commands; device ports; clock; notes that leave at their time.
- ``audio/``: sound devices and the null device, one shape.
- ``band``, ``band_time``, ``band_guest``: the live band's ports and work, under a clock of its own, a MIDI clock or a
  session; the band as a session's guest. ``accompany``, ``band_options``, ``band_view``: alone, its flags, its picture.
- ``band_sound``, ``band_fluid``: the band heard without a synthesizer: plain tones, or a soundfont through FluidSynth.
- ``ear``: the live input of a performance.
- ``settings``, ``app``, ``view``: flags and TOML to frozen settings; a Session and its ports; the terminal view.
"""
