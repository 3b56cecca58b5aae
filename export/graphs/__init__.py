"""Training models as graphs: step functions with named tensors and explicit state, one file each.

A file that ``ripieno export`` serves has ``export(checkpoint, outdir, build)``, which writes a bundle and
returns its id, the parity number of each graph and the size of each file; ``export.__main__`` lists it.
``MODEL_modules`` writes a network down as it is traced, where that is not how it is trained.
"""
