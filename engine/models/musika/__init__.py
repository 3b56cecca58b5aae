"""Musika: a latent GAN and the decoder of its latents.

- ``latents``: sizes, anchors and styles of the latent space, and glides between places in it.
- ``streamer``: controls, state and Streamer: one decoded block after another.
"""
