"""Engine: turns controls into sound and notes, with numpy and onnxruntime only; no sound card, no network, no torch.

The map, low to high: each line imports only from lines above it. Every folder's docstring is its own map.

- ``errors``: every error that engine raises on purpose, grouped by who has to act.
- ``processes``: processor cores, and the processes that engine starts.
- ``music/``: what music is: scores, MIDI files, harmony, tokens, sound files; pure functions and frozen data.
- ``controls``: live controls, declared once: name, range, unit and meaning.
- ``graphs/``: one ONNX file as a function, and the manifest it carries.
- ``messages/``: the commands that a session takes and the events that it sends.
- ``sampling``: seeded draws from logits.
- ``conductor``: the transport (sample to tick), key and chord at a tick.
- ``audio/``: sound on its way: rings, the mixer, recordings to files, the live input, resampling.
- ``protocols/``: what a model must offer to play: sound in chunks (Streamer), a finite job, or bars of notes.
- ``models/``: one file or folder per model family.
- ``starter/``: the bundles that come with the program.
- ``bundles/``: folders of graphs found, checked and opened.
- ``offline/``: whole files: rendered, continued, infilled, drawn.
- ``band/``: the band that accompanies a player on MIDI, one bar ahead.
- ``worker/``: a voice's own process: it takes commands, steps the model and fills the ring.
- ``cli/``: the commands that `ripieno` offers for whole files.
- ``session/``: a performance: post commands, read audio, poll events; its voices, takes and recordings.
- ``bench/``: how fast this machine plays.
- ``__main__``: the command line of engine: list, describe, render, bench, replay.
"""
