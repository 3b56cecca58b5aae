"""Sound out: one shape of port, on a sound device or on none.

- ``port``: AudioPort, what every port offers; PortError; `open_port` finds the right one by name.
- ``pump``: the thread that moves sound from a source into a ring, or lets time pass when there is none.
- ``device``: a port on a sound device, which lives in a process of its own and may go and come back.
- ``card``: that process: sounddevice and rtmixer, whose callback is C and plays straight from shared memory.
- ``outputs``: which outputs there are, and which one a name means.
- ``null``: the same shape without a device, in real time or in time moved by hand.

Only this package knows that sound cards want [N, C].
"""
