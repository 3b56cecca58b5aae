"""What `tests.measure.stage` works with.

jackd.py    a JACK server on its dummy driver, and a client's view of its ports and xruns
ear.py      all that reaches the speakers, with the time of every sample
quiet.py    a client that does nothing, to tell the machine's xruns from ours
show.py     ``ripieno live`` as a process, and a socket to talk to it
scene.py    what every part works with, and how it tells its figures
legal.py    messages that the program must obey, and packets that it must bear
"""
