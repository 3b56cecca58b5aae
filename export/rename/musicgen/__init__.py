"""MusicGen's published checkpoints as ours."""
