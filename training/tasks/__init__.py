"""Tasks: one training step of each kind of network.

- ``codec``: sound to latents and back through Musika's autoencoder.
- ``autoencoder``: Musika's autoencoder: two levels, two phases each.
- ``latent_gan``: Musika's generator of latents, unconditional or conditioned on density and tempo.
- ``musika_live``: musika-live's autoencoder and generator.
- ``encodec_losses``: losses of a codec, and their balance.
- ``encodec_books``: codebooks that follow the latents, without gradients.
- ``encodec``: a codec.
- ``caption_pretraining``: a text encoder on captions, before the language model.
- ``musicgen_batches``: training batches of a language model of codes.
- ``musicgen``: a language model of codes.
- ``getmusic``: our band that plays live.
- ``getmusic_published``: GETMusic's network as published.
"""
