"""Published checkpoints to checkpoints of ours: every name on both sides is used exactly once.

- ``check_names``: the check that no name is left over and every shape agrees.
- ``encodec``: EnCodec's published names.
- ``t5``: T5's published names.
- ``musicgen/``: MusicGen's published folders.
- ``musika``: Musika's published Keras files.
- ``getmusic``: GETMusic's published checkpoint.

A file that `ripieno import` serves has `convert(source, out)` (of GETMusic: source, dictionary, out), which reads a
published checkpoint, writes one of ours and returns its configuration and the networks it found; `export.__main__`
lists it.
"""
