"""Export: turns weights into graphs. Only graphs cross into engine.

- ``errors``: the errors of export.
- ``sources``: published checkpoints: address, licence, citation.
- ``trace``: the call of the torch exporter.
- ``parity``: torch against onnxruntime on seeded inputs, as one number.
- ``quantise/``: smaller and faster graphs.
- ``write``: a bundle of graphs on disk.
- ``graphs/``: checkpoints of ours to bundles.
- ``rename/``: published checkpoints to checkpoints of ours.
- ``bench/``: which build plays fastest here; peers to compare with.
- ``__main__``: the commands `ripieno import` and `ripieno export`.
"""
