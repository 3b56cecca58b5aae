"""MIDI: keys become chords and knobs controls; a clock is followed or sent; a band's notes leave at their time.

- ``notes``: MIDI messages to the keys held and to control values; pure.
- ``pedals``: foot switches that ask for what an OSC message would; pure.
- ``clock``: a MIDI clock followed, and one sent; pure.
- ``sources``, ``sinks``: which inputs and outputs there are, and which one a name means.
- ``ports``, ``driver``: an input opened by name, lost and found again; the process that owns it, because drivers may
  end the process they are in.
- ``orders``: what whoever owns an output of notes is told, a port or a synthesizer.
- ``out``, ``sender``: an output, watched likewise; the process that owns it and keeps the time of every note.
"""
