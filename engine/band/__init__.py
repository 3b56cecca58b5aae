"""The band: from what a player plays on MIDI to the notes of the next bar.

- ``ledger``: the note ledger: exactly one note-off for every note-on.
- ``actions``: settings of the band, the actions it asks for, and the simplest bar.
- ``controls``: every control that can change while a band plays.
- ``capture``: the player's notes, on the grid.
- ``accompanist``: requests bar n + 1 while bar n plays, and always has something to play at the bar line.
- ``names``: names of bands that are no bundles, and the old words for them.
- ``patterns``: the pattern band, which needs no weights.
- ``process``: the model that makes the bars, in a process of its own.
"""
