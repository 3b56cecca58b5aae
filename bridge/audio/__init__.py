"""Sound out and in, on a sound device or on none; only this folder knows that sound cards want [N, C].

The map, low to high: each line imports only from lines above it. A device lives in a process of its own, since a driver
may hang or crash, and that process is started again when the device returns.

- ``input``: AudioInput, what every input offers; AudioStream, what inputs and outputs have in common.
- ``port``: AudioPort, what every output offers; PortError.
- ``clocks``: which sample of the session sounds at a moment.
- ``scan``: which devices there are, and which one a name means.
- ``rings``: the two rings in shared memory: frames to be played, frames that were recorded.
- ``pump``: the thread that moves sound from a source into a ring, or lets time pass when there is none.
- ``child``: the processes that own devices: what they are asked, what they answer, what they do while they wait.
- ``input_thread``: what inputs have in common that give sound to a listener a turn at a time.
- ``input_pump``: the thread that moves sound from a ring to a listener, at the session's rate and samples.
- ``recording``: the recording of a running stream into a ring.
- ``duplex``: the input in the stream of an output, where one device is both, its frames counted against those played.
- ``card``: the process of an output: PortAudio plays straight from shared memory.
- ``input_card``: the process of an input: PortAudio records straight into shared memory.
- ``keeper``: a device that goes away and is brought back, in either direction.
- ``device``: an output on a sound device.
- ``input_device``: an input on a sound device.
- ``input_file``: a sound file as an input.
- ``null``: an output without a device, in real time or in time moved by hand.
- ``monitor``: the live input in the output.
- ``opening``: `open_port` and `open_input`: which of these a name means.
"""
