"""MusicGen as graphs."""
