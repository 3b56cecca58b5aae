"""Training models as graphs: step functions with named tensors and explicit state, one file each.

Every file has ``export(checkpoint, outdir, build) -> Exported``, which writes a bundle.
"""
