"""Data: what networks are trained on.

- ``licences``: which music shipped weights may be trained on.
- ``piece``: a composed piece: notes, chords, density, brightness, style.
- ``patterns``: the steps that each instrument plays, by style, chord and density.
- ``compose``: a seed and a genre to a composed piece.
- ``voices``: one sound of each instrument.
- ``synth``: a composed piece to stereo sound, and to the conditions of each frame.
- ``onsets``: onset times of a recording.
- ``corpus``: what a corpus is: pieces by checksum, training and held-out side.
- ``composed``: a corpus of composed pieces.
- ``described``: a corpus of composed pieces in which some parts rest, with what is known of them.
- ``audio``: a corpus of the sound files of a folder.
- ``augment``: crops of sound made faster, darker, wider.
- ``captions``: captions of composed pieces.
- ``store``: samples and latents of a corpus, computed once, cut at random.
- ``code_store``: a corpus as codes of a codec, with captions and conditions.
- ``conducted``: composed pieces as stems, with clock, chords and controls of each frame.
- ``pieces``: a piece for a band as it is stored: notes by role, chords, origin.
- ``tunes``: packs and folders of MIDI, read as stretches of 4/4.
- ``arrange/``: a melody and its chords to a band of six.
- ``band/``: rendered band music, and the command `ripieno corpus`.
- ``opening``: the corpus that a recipe asks for.
- ``gather``: a MIDI file to pieces for a band.
- ``grids``: the store of grids: written, read, cut into windows, transposed.
- ``midi``: packs of MIDI to a store of grids; the command `python -m training.data.midi`.
- ``masks``: which cells of a window are given, hidden, or to be found.
- ``band_batches``: windows of grids to training batches.
"""
