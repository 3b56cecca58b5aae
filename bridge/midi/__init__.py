"""MIDI: devices, each in a process of its own, because drivers may end the process they are in.

- ``clockfit``: the line through clocks that come late, in steps or in bursts (pure).
- ``clock``: MIDI clock in and out, as a line of musical time (pure).
- ``notes``: messages to held keys and control values of a session (pure); a band takes the messages themselves.
- ``maps``: controllers mapped to controls (pure).
- ``pedals``: foot switches mapped to OSC addresses (pure).
- ``sources``: which inputs there are, and which one a name means.
- ``sinks``: which outputs there are, and which one a name means.
- ``output_commands``: what a MIDI port or a synthesizer is sent by a band.
- ``driver``: the process of an input: stamps messages as they arrive.
- ``ports``: an input opened by name, lost and found again.
- ``sender``: the process of an output: sends each note at its time.
- ``memory``: what the next sender of an output must know if the present one is lost.
- ``out``: an output, watched, and opened again when it was lost.
"""
