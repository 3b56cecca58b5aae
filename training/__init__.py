"""Training: makes the weights. Imports of engine only `engine.music` and `engine.errors`; uses torch, as export does.

- ``config``: settings of an experiment: recipe, data, optimiser.
- ``task``: the interface between the training loop and a task.
- ``models/``: the networks, one file each, and the files of their weights.
- ``losses``: losses of several tasks; waveforms to normalised log spectra and back.
- ``discriminator``: the discriminator of Musika's autoencoder.
- ``diffusion``: the published training objective of GETMusic.
- ``live_features``: input features of musika-live's encoder.
- ``data/``: what networks are trained on: folders of sound, composed pieces, MIDI.
- ``evaluate/``: measurements of trained networks, in tables.
- ``tasks/``: one training step of each kind of network.
- ``recipes/``: experiments, as plain values.
- ``checkpoint``: checkpoints: weights, optimisers, random states, settings.
- ``previews``: sounds and pictures of a run, written with the standard library.
- ``report``: progress line, metrics as JSON lines, curves for TensorBoard.
- ``loop``: the training loop: steps, moving averages, checkpoints, several processes.
- ``__main__``: the command `ripieno train`.
"""
