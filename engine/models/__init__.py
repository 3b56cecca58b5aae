"""The model families: controls, state, and the Streamer or Job of each. A family imports no other.

- ``words``: the words that a text encoder of whole words knows.
- ``t5``: text to conditioning vectors, for language models of sound.
- ``encodec/``: EnCodec, sound to codes and back.
- ``mdct_codec/``: our stereo codec, sound to codes and back.
- ``tone``: a voice without weights: sines on the chord and a click on the beat.
- ``musika/``: Musika, endless stereo music from a latent GAN.
- ``musika_live/``: musika-live, endless music in 46 ms steps that follows beat and chords.
- ``musicgen/``: MusicGen and musicgen-live, language models of sound: text to sound, continuation, live.
- ``getmusic/``: GETMusic and getmusic-live, diffusion on notes: infilling and accompaniment.
- ``families``: one row per family: its graphs, facts, controls, and how it is opened.
"""
