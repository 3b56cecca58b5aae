"""The arranger: a melody and its chords to a band of six.

- ``tables``: the styles, as text.
- ``styles``: the text of a style to the steps of each part.
- ``form``: the plan of an arrangement: sections, who plays, which bars repeat.
- ``voicing``: which notes of a chord a part plays.
- ``drums``: grooves and fills.
- ``parts``: bass, guitar, piano and strings.
- ``arrange``: all parts of an arrangement.
"""
