"""OSC: one table of addresses, made from controls and commands, and the sockets that serve it.

- ``wire``: bytes to frozen messages and bundles, and back; any bytes at all (pure).
- ``pattern``: which names an OSC pattern hits, in bounded time (pure).
- ``space``: an address and its arguments to commands, queries or refusals (pure).
- ``space_docs``: the same table as OSCQuery JSON and as ``OSC.md`` (pure).
- ``replies``: events and refusals as the messages that tell of them (pure).
- ``clients``: who is answered where, and how often.
- ``tcp``: framing and connections of OSC over TCP.
- ``server``: the thread that receives, posts and answers.
- ``query``: OSCQuery over HTTP.
"""

__all__: list[str] = []
