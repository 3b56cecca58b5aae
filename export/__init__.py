"""Export: turns weights into graphs. Only graphs cross into engine.

- ``sources``: published checkpoints, with licence and citation.
- ``rename/MODEL``: their weight names to ours, every name used exactly once.
- ``graphs/MODEL``: a training model wrapped as step functions with named tensors and explicit state.
- ``parts``: the checkpoint of a language model of sound, taken apart.
- ``products``: convolutions as matrix products, which is what 8-bit units of processors multiply.
- ``trace``, ``shrink``, ``parity``, ``write``: to ONNX, smaller, proved against torch, as a bundle on disk.
- ``errors``: what export raises on purpose.
"""
