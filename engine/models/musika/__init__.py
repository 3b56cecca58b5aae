"""Musika: a latent GAN that plays endlessly."""
