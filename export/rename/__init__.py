"""Published checkpoints as ours, one file each: their weight names to our names, every name used exactly once.

Every file has ``convert(source, out)``, which reads a published checkpoint and writes one of ours.
"""
