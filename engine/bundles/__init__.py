"""Bundles: folders of graphs that were exported together.

- ``bundle``: found by name, checked against its checksums, opened as a model.
- ``opening``: opened in a voice's own process, by name.
"""
