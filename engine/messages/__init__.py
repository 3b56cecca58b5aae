"""Commands in and events out: all that bridge and engine say to each other, as frozen dataclasses.

- ``band``: of a band in a session.
- ``continuation``: of a voice that continues a sound.
- ``infill``: of MIDI files that are infilled.
- ``session``: of everything else; also offers the three above.
"""
