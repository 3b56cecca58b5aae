"""What music is: pure functions and frozen data over numpy. The one part of engine that training and export share.

- ``arrays``: types of numpy arrays.
- ``units``: samples, seconds, frames and ticks (480 per quarter note) into one another.
- ``files``: checksums, names of files that come from outside, drafts moved into place.
- ``audio``: audio arrays; sound files read and written.
- ``spectrum``: short-time Fourier transforms, the reference that torch code must match.
- ``noise``: random numbers by place: the same key gives the same numbers.
- ``codes``: codebook delay patterns of language models of sound.
- ``absorbing``: GETMusic's absorbing diffusion: how likely a cell is hidden at each step.
- ``harmony``: chords, keys and progressions; the chord of a set of held keys.
- ``score``: notes, tracks, tempo and meter maps.
- ``midievents``: the bytes of a MIDI file as events.
- ``midifile``: a score from a MIDI file and back, with all else that the file holds.
- ``bars``: bars of any meter as bars of sixteen columns.
- ``roles``: the part of the band that each track of a MIDI file plays.
- ``vocabulary``: the tokens of a GETMusic grid.
- ``tokens``: notes struck together as one token, or the nearest there is.
- ``keys``: the shift into the key of a grid.
- ``columns``: notes as arrays in the columns of a grid.
- ``chords``: one chord per bar, estimated from notes.
- ``published``: notes to a grid as the published GETMusic does it.
- ``grid``: a score to GETMusic's grid and back.
- ``pulse``: musical time as a straight line through one moment.
- ``conducting``: beat and harmony of a frame as numbers, the same in training and live.
- ``bandfeatures``: beat, chord and settings of a grid column as numbers, the same in training and live.
- ``leaning``: how notes are drawn towards the chord.
- ``beats``: beats and onsets, estimated from sound.
- ``chroma``: pitch classes and chords, estimated from sound.
"""
