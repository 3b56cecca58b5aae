"""Sound on its way: float32, [C, N] (channels, samples), positions in samples of the session.

- ``level``: gains that change without a click, peaks, soft limiting.
- ``limiter``: what is too loud in the mix turned down without latency.
- ``overlap``: equal-power crossfades.
- ``resample``: streaming sample-rate conversion, aligned to the first sample.
- ``circular``: circular buffers, and the order in which samples and positions are seen.
- ``ring``: the buffer from a voice's process to the mixer, in shared memory: one writer, one reader.
- ``mixer``: all voices to one mix: lanes that start, stop, pause and change over, each with a fade.
- ``input``: the latest seconds of the live input.
- ``record``: sound to files while it plays.
"""
