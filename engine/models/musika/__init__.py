"""Musika: a latent GAN that plays endlessly.

- ``facts``: what a bundle says about its networks.
- ``latents``: anchors, coordinates, style, and glides from place to place.
- ``streamer``: controls, state, and the `Streamer` of a bundle.
"""
