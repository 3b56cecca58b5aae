"""What music is: pure functions and frozen data over numpy. The one part of engine that training imports.

- ``units``: samples, seconds, frames and ticks into one another.
- ``audio``: the Audio array; sound files in and out.
- ``spectrum``: short-time Fourier transforms, the numpy reference that torch code must match.
- ``harmony``: chords, keys, progressions, and the chord that a set of held keys makes.
"""
