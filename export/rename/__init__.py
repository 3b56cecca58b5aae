"""Published checkpoints as ours, one file each: their weight names to our names, every name used exactly once.

A file that ``ripieno import`` serves has ``convert(source, out)`` (of GETMusic: source, dictionary, out), which reads a
published checkpoint, writes one of ours and returns its configuration and the networks it found; ``export.__main__``
lists it.
"""
