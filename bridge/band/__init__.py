"""The live band: its ports, its clock, its commands, and its display.

- ``commands``: the typed commands to a band, from JSON lines too, and the queue they wait in.
- ``clock``: where musical time comes from: its own clock, a MIDI clock, or a session.
- ``keys``: the player's keys, from the input to the band and on to the output.
- ``options``: flags as frozen values.
- ``old_names``: old names of bands, accepted with a note on the present name.
- ``roles``: roles as MIDI channels and programs, and the count-in.
- ``tones``: the band's sound without a synthesizer: plain tones.
- ``fluid``: the band's sound through FluidSynth and a soundfont.
- ``ports``: MIDI output, MIDI input and audio output, opened and closed together.
- ``handover``: the accompanist process that plays, and the one that loads to replace it.
- ``view``: the band in the terminal, as lines, or as JSON.
- ``events``: the band's plans and counts as events of a session.
- ``band``: the band at work: ports, accompanist and clock put together.
- ``session_band``: the band inside a session.
- ``command``: `ripieno accompany`.
"""
