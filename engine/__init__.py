"""Engine: turns controls into sound and notes, with numpy and onnxruntime only.

The room's map, low to high (a file may import only from lines above its own):

- ``errors``, ``music/``: every error raised on purpose; what music is, as pure functions and frozen data.
- ``controls``, ``messages``, ``manifest``: what can be turned, what is said, what a graph says about itself;
  ``metadata`` reads that from a file without loading the graph.
- ``graph``, ``signal/``, ``sampling``: one ONNX file as a function; streaming signal processing with explicit state;
  seeded draws from logits.
- ``stream``, ``ring``, ``conductor``: the Streamer and Job protocols, the audio queue, musical time and harmony.
- ``models/``: one family of files, one model, with its controls, its state and its Streamer or Job.
- ``band_messages``, ``band_controls``: what a session's band is told and tells; all of it that can be turned.
- ``band``, ``capture``, ``ledger``: what a band is asked for, what a player played, every note-on with its note-off.
- ``band_plan``, ``accompany``: actions, and the accompanist that has bar n + 1 made while bar n plays; ``maker``: by
  whom, in its own process.
- ``bundle``, ``opening``: folders of graphs, and how a voice gets its streamer.
- ``filling``, ``wishes``, ``infill``, ``jobs``, ``pianoroll``: a MIDI file filled, how, by command, in a session, and
  as a picture; ``fill_messages``: what is said of it.
- ``continuing``, ``continuation``: a sound file gone on with, and by command; live: ``continue_messages``, what is said
  of it, ``context``, the sound that was heard, ``futures`` and ``ahead``, what is made beside the voice's sound.
- ``orders``, ``worker``, ``player``: what a session and a voice say, one voice's turn, its process seen from outside.
- ``mixer``, ``schedule``, ``record``: lanes and their fades, when a command holds, sound to files.
- ``hearing``: the latest of the live input, at the session's samples.
- ``take``, ``replay``: the log of a performance, and the same sound from it again.
- ``cast``, ``voice``, ``studio``, ``telemetry``, ``session``: a voice with its restarts and swaps, recordings, what is
  told, and the three doors.
- ``render``, ``picture``, ``bench``: a bundle to a sound file, sound to a picture, speed to numbers;
  ``bench_musicgen``: those of a language model, in a process of its own, ``bench_live``: as a voice of a session.
"""
