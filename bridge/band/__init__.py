"""The live band: its ports, its clock, its options, and its picture.

- ``clock``: where musical time comes from: its own clock, a MIDI clock, or a session.
- ``options``: flags as frozen values.
- ``tones``: the band's sound without a synthesizer: plain tones.
- ``fluid``: the band's sound through FluidSynth and a soundfont.
- ``view``: the band in the terminal, as lines, or as JSON.
- ``band``: the band at work: ports, accompanist and clock put together.
- ``guest``: the band inside a session.
- ``command``: `ripieno accompany`.
"""
