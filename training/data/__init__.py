"""Data: what the models hear while they learn.

- ``piece``: Style, Hit and Piece: music we make ourselves, with everything known about it.
- ``patterns``: which step each instrument plays on, from style, chord, density and brightness.
- ``compose``: a seed and a genre to a Piece.
- ``voices``: one sound of each instrument, in numpy.
- ``synth``: a Piece to stereo sound and to the conditions of every frame; ``python -m training.data.synth``.
- ``conducted``: composed pieces as a conducted model sees them: stems, and what is known of each frame.
"""
