"""What a model must offer to be played.

- ``streamer``: Streamer, which makes endless sound chunk by chunk, and Job, which ends; with the timing they declare.
- ``codec``: sound to codes and back, for language models of sound.
- ``accompanist``: one bar of accompaniment, asked for and answered in notes.
"""
