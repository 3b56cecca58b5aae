"""One file, one model: its controls, its state, and its Streamer or Job."""
