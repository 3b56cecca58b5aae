"""Recipes: one experiment each, plain values. `python -m training --list` names them with their first lines.

- ``musika44_*``, ``musika22_*``: the published sizes, for an accelerator. ``ae1`` to ``ae4`` make the autoencoder, each
  starting from the one before; ``gan``, ``small_gan`` and ``told_gan`` make generators for it.
- ``tiny_*``: the same six steps in miniature, for two processor cores and no data but our own.
"""
