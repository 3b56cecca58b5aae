"""Bridge: connects engine to the outside: OSC, MIDI, sound cards, browsers, the terminal.

The map, low to high: each line imports only from lines above it. Every folder's docstring is its own map.

- ``notices``: lines for people, from any thread.
- ``terminal``: lines for a terminal that may be gone, full or stopped.
- ``picture``: a picture in the terminal that is redrawn many times a second.
- ``audio/``: audio outputs and inputs: on a sound device, a file, or none.
- ``osc/``: the OSC server and its address space.
- ``midi/``: MIDI inputs and outputs, clock, keys, knobs and pedals.
- ``settings``: one TOML file and flags, as frozen values.
- ``live_input``: the live input of a performance.
- ``band/``: the live band, alone or in a session.
- ``web/``: what browsers and OSCQuery clients see.
- ``view``: the terminal's picture of a performance.
- ``voices``: the bundles and names of a performance's voices, its folder.
- ``app``: a session and its ports, started and stopped in order.
- ``devices``: `ripieno devices`.
- ``doctor``: `ripieno doctor`, which checks this machine.
- ``bench``: OSC messages per second.
- ``__main__``: `ripieno live` and `ripieno addresses`.
"""
