"""Rendered band music: songs from seeds, played by two sound fonts, mixed like records, with all that is known of them.

- ``soundfonts``: sound fonts by name, and the keys of their presets.
- ``fluid``: notes to stems by FluidSynth.
- ``synthesizer``: parts of electronic styles on our own synthesizer.
- ``palette``: instruments and styles in words.
- ``grooves``: timing and loudness of drummers, as measured.
- ``tune_books``: tunes by people, from packs.
- ``songs``: a piece by its number: tune, style, key, tempo, players.
- ``performance``: a song as it is played: notes in seconds.
- ``loudness``: loudness and peaks.
- ``room``: rooms and tone.
- ``mix``: stems to a mastered piece.
- ``timeline``: what is known of every moment.
- ``words``: captions.
- ``piece``: one piece from its number: sound and record.
- ``folder``: a corpus as a folder of FLAC and JSON.
- ``stored``: a rendered corpus for training.
- ``command``: the command `ripieno corpus`.
"""
