"""A performance, seen by its host. Nothing here waits for a model.

- ``schedule``: from "next bar" to a tick, and from a tick to a sample.
- ``take``: the log of a performance: one JSON value per line.
- ``slot``: what a voice is to be, and what all voices share.
- ``guest``: a sound that is mixed in beside the voices, kept for the replay.
- ``replay``: the same sound again from a take.
- ``restarts``: when a voice that has failed is started again, and from which state.
- ``sources``: the sound that a continuation starts from: live input, mix or file.
- ``continuations``: continuations of a voice: requested, made, applied at their time.
- ``voice``: one named voice: its lane in the mix, its worker, restarts and swaps.
- ``infills``: infills of MIDI files, each in a process of its own.
- ``recordings``: recordings, keeping what was just played, and the controls of the live input.
- ``telemetry``: applied commands, and levels, latencies and underruns ten times a second.
- ``session``: the three doors: post, read, poll.
"""
