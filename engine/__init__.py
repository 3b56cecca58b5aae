"""Engine: turns controls into sound and notes, with numpy and onnxruntime only.

The room's map, low to high (a file may import only from lines above its own):

- ``errors``, ``music/``: every error raised on purpose; what music is, as pure functions and frozen data.
- ``controls``, ``messages``, ``manifest``: what can be turned, what is said, what a graph says about itself.
- ``graph``, ``signal/``: one ONNX file as a function; streaming signal processing with explicit state.
- ``stream``, ``ring``, ``conductor``: the Streamer protocol, the audio queue, musical time and harmony.
- ``models/``: one file, one model, with its controls, its state and its Streamer.
- ``bundle``, ``worker``, ``session``, ``take``: folders of graphs, one voice's turn, the three doors, the log.
"""
