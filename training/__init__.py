"""Training: makes the weights. Sees ``engine.music`` and ``engine.errors`` only; torch lives here and in export.

- ``config``, ``recipes/``: frozen recipes; one experiment, one small Python file.
- ``models/``: one readable file per network.
- ``data/``: folders of audio, and music that we compose and render ourselves.
- ``task``, ``tasks/``: what the loop asks of a task; what one step of each kind of training does.
- ``losses``, ``discriminator``: what is minimised, and the autoencoder's judge; ``diffusion``: GETMusic's objective.
- ``loop``, ``checkpoint``, ``report``, ``previews``: the one loop, what is kept, what is shown on the way.
- ``evaluate``: what is measured.
- ``bands``, ``bands_baselines``, ``bands_play``, ``bands_report``: the same for bands, beside simple players;
  ``bands_usual``: how they usually play;
  ``fill`` finds hidden cells, ``roll`` draws them.
"""
