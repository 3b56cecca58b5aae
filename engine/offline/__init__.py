"""Work on files: a sound rendered, a MIDI file infilled, a sound continued, and pictures of each."""
