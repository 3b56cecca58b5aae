"""A language model of codes as a bundle.

- ``network``: the graphs of the language model.
- ``bundle``: checkpoint to bundle.
"""
