"""musika-live: a causal generator and decoder that follow the conductor in steps of 46 ms.

- ``streamer``: controls, state, and the `Streamer` of a bundle.
"""
