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
"""
