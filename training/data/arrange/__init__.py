"""The arranger: a melody and its chords to a band of six.

- ``meters``: the bars that can be written: 4/4, 3/4, 6/8 and 2/4.
- ``instruments``: General MIDI instruments and their ranges.
- ``tables``: the styles, as text.
- ``styles``: the text of a style to the steps of each part.
- ``form``: the plan of an arrangement: sections, who plays, which bars repeat.
- ``voicing``: which notes of a chord a part plays.
- ``drums``: grooves and fills.
- ``parts``: bass, guitar, piano and strings.
- ``arrange``: all parts of an arrangement.
"""
