"""EnCodec: sound to codes and back, for language models of sound.

- ``codec``: encoding and decoding over the graphs of a bundle, whole or piece by piece.
"""
