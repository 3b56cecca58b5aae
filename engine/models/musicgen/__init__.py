"""MusicGen: a language model over codec codes, with a KV cache."""
