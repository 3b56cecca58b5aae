"""A language model of codes as a bundle.

- ``checkpoint``: a checkpoint taken apart: codec, language model, text encoder.
- ``network``: the graphs of the language model.
- ``bundle``: checkpoint to bundle.
"""
