"""Checkpoints of ours to bundles: step functions with named tensors and explicit state.

- ``encodec``: EnCodec as five graphs.
- ``mdct_codec``: our codec as two graphs with caches.
- ``t5``: the text encoder as one graph.
- ``musika``: Musika: coordinates to latents, latents to spectra and back.
- ``musicgen/``: language models of codes.
- ``musika_live``: musika-live, one step of 2048 samples each.
- ``getmusic/``: both GETMusic networks.

A file that `ripieno export` serves has `export(checkpoint, outdir, build)`, which writes a bundle and returns its id,
the parity number of each graph and the size of each file; `export.__main__` lists it.
"""
