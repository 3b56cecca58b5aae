"""Recipes: one experiment each, as plain values. `ripieno train --list` prints the first line of each.

Each phase of an autoencoder starts from the weights of the phase before; a generator starts from all four.

- ``musika44_ae1``: Musika 44.1 kHz, autoencoder level 1, magnitude.
- ``musika44_ae2``: Musika 44.1 kHz, autoencoder level 1, sound.
- ``musika44_ae3``: Musika 44.1 kHz, autoencoder level 2, latents.
- ``musika44_ae4``: Musika 44.1 kHz, autoencoder level 2, sound.
- ``musika44_gan``: Musika 44.1 kHz, generator.
- ``musika44_small_gan``: Musika 44.1 kHz, generator of shorter patches.
- ``musika44_conditioned_gan``: Musika 44.1 kHz, generator conditioned on density and tempo.
- ``musika22_ae1``: Musika 22.05 kHz, autoencoder level 1, magnitude.
- ``musika22_ae2``: Musika 22.05 kHz, autoencoder level 1, sound.
- ``musika22_ae3``: Musika 22.05 kHz, autoencoder level 2, latents.
- ``musika22_ae4``: Musika 22.05 kHz, autoencoder level 2, sound.
- ``musika22_gan``: Musika 22.05 kHz, generator.
- ``musika22_conditioned_gan``: Musika 22.05 kHz, generator conditioned on density and tempo.
- ``tiny_ae1``: Musika in miniature, autoencoder level 1, magnitude.
- ``tiny_ae2``: Musika in miniature, autoencoder level 1, sound.
- ``tiny_ae3``: Musika in miniature, autoencoder level 2, latents.
- ``tiny_ae4``: Musika in miniature, autoencoder level 2, sound.
- ``tiny_gan``: Musika in miniature, generator.
- ``tiny_conditioned_gan``: Musika in miniature, generator conditioned on density and tempo.
- ``musika_live_autoencoder``: the autoencoder of the starter bundle musika-live.
- ``musika_live_decoder``: its decoder alone, after the autoencoder.
- ``musika_live_generator``: its generator, after the decoder.
- ``encodec_32k``: MusicGen's codec as published.
- ``codec``: our stereo codec, over band music and recordings.
- ``encodec_live``: the causal codec of the starter bundle.
- ``musicgen_small``: MusicGen's small size as published, after a codec.
- ``musicgen_live``: the conducted language model of the starter bundle, after `encodec_live`.
- ``getmusic_official``: GETMusic as published, on a store of grids.
- ``getmusic_live``: the live band of the starter bundle, on a store of grids.
- ``tiny_getmusic``: the live band in miniature.
"""
