"""MusicGen: a language model over the codes of a codec: EnCodec, or our own.

- ``conditioning``: musical time and harmony as the model receives them with each step.
- ``facts``: what the graphs of a bundle declare, checked once.
- ``sizes``: these facts with the sizes that only the graph can say.
- ``melody``: a sound's strongest pitch class at each moment, as a condition.
- ``state``: keys and values of the past (the cache), and the codes.
- ``codecs``: the codec of a bundle.
- ``model``: the graphs as one model: conditions, prefill, a step, the choice of the next codes.
- ``prompt``: a sound as codes that the model continues.
- ``sequence``: one sequence of the live voice, from step to sound: drawn, decoded, cut to any length.
- ``timing``: the musical time of a chunk.
- ``continuation``: continuations made beside the sound that plays, from a prompt or from an earlier bar.
- ``streamer``: the live voice: controls, state and Streamer; changes to a continuation at a given sample.
"""
