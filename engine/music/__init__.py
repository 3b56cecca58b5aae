"""What music is: pure functions and frozen data over numpy. The one part of engine that training imports.

- ``arrays``: names of array types, by the type of their numbers.
- ``units``: samples, seconds, frames and ticks into one another.
- ``audio``: the Audio array; sound files in and out.
- ``spectrum``: short-time Fourier transforms, the numpy reference that torch code must match.
- ``harmony``: chords, keys, progressions, and the chord that a set of held keys makes.
- ``score``: notes, tracks, tempo and meter maps.
- ``midievents``, ``midifile``: scores from MIDI files and back, with all else that a file holds.
- ``roles``: which part of a band each track of any file plays.
- ``bars``: bars of any meter as bars of sixteen columns. ``columns``: notes as arrays in these columns.
- ``vocabulary``: dictionaries of tokens. ``tokens``: notes struck together as one token, or the nearest there is.
- ``keys``, ``chords``: the shift into the key of a grid; one chord a bar, heard from notes.
- ``beats``: the pulse of a sound, and its onsets. ``chroma``: its pitch classes and chords.
- ``absorbing``: the diffusion that hides cells. ``bandfeatures``: what a conducted band is told of each column;
  ``leaning``: how its notes are drawn to the chord.
- ``grid``: Score <-> GETMusic's grid. ``published``: the published way there, cell by cell.
"""
