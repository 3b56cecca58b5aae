"""Sound out and in: one shape of port and one of input, on a sound device or on none.

- ``port``: AudioPort, what every port offers; PortError; `open_port` finds the right one by name.
- ``pump``: the thread that moves sound from a source into a ring, or lets time pass when there is none.
- ``device``: a port on a sound device, which lives in a process of its own and may go and come back.
- ``card``: that process: sounddevice and rtmixer, whose callback is C and plays straight from shared memory.
- ``null``: the same shape without a device, in real time or in time moved by hand.
- ``input``: AudioInput, what every input offers; `open_input` finds the right one by name.
- ``ears``: the thread that moves sound from a ring to a listener, at the session's rate and samples.
- ``duplex``: the input in the stream of an output, where one device is both, its frames counted against those played.
- ``input_device``, ``input_card``: an input in a process of its own, its frames placed by their time.
- ``input_file``: a sound file as an input. ``monitor``: what is heard, in the output.
- ``child``: how those processes are started, asked and ended. ``recording``: the way out of one, in shared memory.
- ``clocks``: which sample sounds at a moment. ``scan``: which devices there are, and which one a name means.

Only this package knows that sound cards want [N, C].
"""
