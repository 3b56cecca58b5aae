"""musika-live: a causal generator and decoder that follow the conductor in steps of 46 ms.

- ``facts``: what a bundle says about its networks.
- ``streamer``: controls, state, and the `Streamer` of a bundle.
"""
