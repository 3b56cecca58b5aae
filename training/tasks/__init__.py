"""Tasks: what one step of each kind of training does.

- ``codec``: sound to latents and back through Musika's autoencoder networks.
- ``autoencoder``: both levels of the autoencoder, two phases each.
- ``latent_gan``: the generator of latents, unconditional or told of note density and tempo.
- ``getmusic``: our band that plays live.
- ``getmusic_published``: GETMusic's network as it was published.
- ``encodec``: codecs; ``encodec_losses`` and ``encodec_books``: what they minimise, how codebooks follow.
- ``musicgen``: language models of codes; ``musicgen_batches``: their steps and conditions; ``caption_pretraining``:
  their text encoder, first.
"""
