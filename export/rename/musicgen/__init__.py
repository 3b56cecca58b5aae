"""MusicGen's published checkpoints to one of ours.

- ``names``: published weight names to ours.
- ``sizes``: sizes of networks, from their weights.
- ``files``: published folders to one checkpoint.
"""
