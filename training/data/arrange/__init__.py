"""The arranger: a melody and its chords to a band of six.

- ``meters``: the bars that can be written: 4/4, 3/4, 6/8 and 2/4.
- ``instruments``: General MIDI instruments and their ranges.
- ``tables``: the first styles, as text.
- ``tables_meters``: styles in other meters than 4/4, and those that swing.
- ``tables_modern``: styles of clubs, films, machines and guitars.
- ``styles``: the text of a style to the steps of each part.
- ``form``: the plan of an arrangement: sections, who plays, which bars repeat.
- ``voicing``: which notes of a chord a part plays.
- ``drums``: grooves and fills.
- ``parts``: bass, guitar, piano and strings.
- ``arrange``: all parts of an arrangement.
- ``progressions``: chord progressions by family of styles, as text.
- ``harmony``: the chords of a piece.
- ``melody``: a melody over chords.
- ``songs``: a whole piece from a style and a seed.
"""
