"""A voice's own process: the model steps here, and the session only reads the ring.

- ``orders``: what session and worker send each other: frozen, picklable.
- ``background``: work beside what may not wait, in a thread: continuations, files.
- ``sources``: the sound files that a continuation starts from: opened, checked, hashed, read.
- ``worker``: one turn of a voice: take commands, step the model, fill the ring.
- ``process``: a worker seen from its session, in a process of its own or in this one.
"""
