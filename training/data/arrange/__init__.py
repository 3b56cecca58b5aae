"""Our own arranger: a melody and its chords to a band of six."""
