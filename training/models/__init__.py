"""Networks, one file each, and the files that hold their weights.

- ``layers``: layers that several networks share.
- ``musika22``: the 22.05 kHz networks of the Musika paper.
- ``musika``: sizes, coordinates and 44.1 kHz networks of Musika; files of both variants.
- ``musika_live``: musika-live: a conducted, causal Musika.
- ``encodec``: EnCodec: the published codecs, and a causal one of ours.
- ``encodec_stream``: the causal codec, piece by piece.
- ``mdct``: sound as blocks of MDCT coefficients and back.
- ``mdct_codec``: our codec of all audio starters.
- ``codecs``: these codecs as one.
- ``encodec_critic``: the discriminators of a codec.
- ``t5``: the text encoder of MusicGen.
- ``words``: the vocabulary of a text encoder of ours.
- ``musicgen``: the language model of codes.
- ``musicgen_sampling``: sampling from a language model of codes.
- ``musicgen_files``: files of codecs and language models.
- ``getmusic``: GETDiff, the published network of GETMusic.
- ``getmusic_live``: our GETMusic network for playing live.
- ``getmusic_files``: files of both GETMusic networks.
"""
