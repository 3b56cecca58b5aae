"""Networks, one readable file each, with ``forward`` for training.

- ``layers``: padding, noise, modulation and residual blocks that several networks share.
- ``musika``: sizes, coordinates and the 44.1 kHz networks of Musika; building, saving and loading both variants.
- ``musika22``: the 22.05 kHz networks of the Musika paper.
- ``getmusic``: GETDiff as published; ``getmusic_live``: ours, conducted, with a past that is read once;
  ``getmusic_files``: the file that either is kept in.
- ``encodec``: the published codecs and our causal one; ``encodec_stream``: that one piece by piece;
  ``encodec_critic``: who judges it while it learns.
- ``musicgen``: the language model of codes; ``t5``: its text encoder; ``words``: a vocabulary for one of our own;
  ``musicgen_files``: the files that codecs and language models of ours are kept in.
"""
