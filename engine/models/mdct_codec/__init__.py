"""Our codec: stereo sound to codes and back, frame by frame, for language models of sound.

- ``facts``: what a bundle says about its codec.
- ``codec``: encoding and decoding over the graphs of a bundle, whole or piece by piece.
"""
