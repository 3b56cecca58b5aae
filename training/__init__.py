"""Training: makes the weights. Sees ``engine.music`` and ``engine.errors`` only; torch lives here and in export.

- ``config``, ``recipes/``: frozen recipes; one experiment, one small Python file.
- ``models/``: one readable file per network.
- ``data/``: folders of audio, and music that we compose and render ourselves.
- ``losses``, ``loop``, ``checkpoint``, ``evaluate``: what is minimised, the one loop, what is kept, what is measured.
"""
