"""OSC: one table of addresses, derived from controls and commands, and the server on top of it.

- ``wire``: bytes to frozen messages and bundles, and back (pure).
- ``pattern``: which addresses an OSC pattern matches, in bounded time (pure).
- ``table``: the table: one Method per address.
- ``docs``: the table as OSCQuery JSON and as the page of addresses (pure).
- ``space``: an address and its arguments to a command, a query or a refusal (pure).
- ``replies``: events and refusals to OSC messages (pure).
- ``sockets``: the UDP and TCP sockets on one port.
- ``clients``: which client is answered where, and how often.
- ``builtins``: the server's own addresses: ping, status, voices, reply ports, telemetry.
- ``coalesce``: many values for one control in a short time to the last of them.
- ``tcp``: framing and connections of OSC over TCP.
- ``server``: the thread that receives, posts and answers.
"""

__all__: list[str] = []
