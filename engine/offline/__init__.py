"""Whole files, without a sound card.

- ``render``: a streamer into a sound file: the same steps as live, so the same sound.
- ``spectrogram``: a sound as a picture: spectrogram, level, bars and chords.
- ``pianoroll``: notes as a picture.
- ``continuation``: a sound file continued, or sound from text alone.
- ``infill_options``: the options of an infill, as one text.
- ``infill_parts``: where the new notes of a MIDI file go, fitted among the notes that stay.
- ``infill_retry``: an infill made again for the parts that came back all but empty.
- ``infill``: a MIDI file in, MIDI files with some bars of some tracks made anew out.
"""
