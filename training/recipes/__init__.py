"""Recipes: one experiment each, plain values. `python -m training --list` names them with their first lines.

- ``musika44_*``, ``musika22_*``: the published sizes, for an accelerator. ``ae1`` to ``ae4`` make the autoencoder, each
  starting from the one before; ``gan``, ``small_gan`` and ``told_gan`` make generators for it.
- ``getmusic_live``: the band of the starter bundle, for one processor core; ``getmusic_official``: the published one.
- ``encodec_32k``, ``musicgen_small``: the published codec and language model, for accelerators; ``encodec_live``, then
  ``musicgen_live``: ours, for one processor core or one accelerator and no data but our own.
- ``tiny_*``: Musika's six steps and the band in miniature, for two processor cores and no data but our own.
"""
