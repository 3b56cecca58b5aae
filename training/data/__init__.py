"""Data: what the models hear while they learn.

- ``piece``: Style, Hit and Piece: music we make ourselves, with everything known about it.
- ``patterns``: which step each instrument plays on, from style, chord, density and brightness.
- ``compose``: a seed and a genre to a Piece.
- ``voices``: one sound of each instrument, in numpy.
- ``synth``: a Piece to stereo sound and to the conditions of every frame; ``python -m training.data.synth``.
- ``corpus``: pieces by name and checksum, their split, what is known of each; composed ones, or a folder's.
- ``audio``: a folder of sound files as such a corpus.
- ``store``: what is made once from a corpus and cut at every step: samples, latents with their conditions.
- ``conducted``: composed pieces as a conducted model sees them: stems, and what is known of each frame.
- ``described``: composed pieces and who plays in them; ``captions``: words for them.
- ``code_store``: codes of a corpus, made once, with words and features of each window.

Notes, for bands that play from MIDI:

- ``arrange``: a melody and its chords to a band of six; ``arrange_styles`` and ``arrange_tables`` say who plays when,
  ``arrange_form`` who is there, ``arrange_voicing`` which notes, ``arrange_drums`` and ``arrange_parts`` write them.
- ``licences``: which files shipped weights may learn from.
- ``tunes``, ``gather``, ``pieces``: packs and folders of MIDI, what they give, and how it is kept.
- ``midi``: all of that to a store of grids; ``python -m training.data.midi``.
- ``grids``, ``masks``, ``band_batches``: windows of the store, what is hidden of them, what a network is asked.
"""
