"""How fast this machine plays.

- ``bench``: real-time factors and latencies of bundles, each the median of several runs, beside a peer's.
- ``live``: a language model as a voice of a session.
- ``musicgen``: a language model of sound: time per step.
"""
