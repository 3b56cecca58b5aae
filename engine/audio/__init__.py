"""Sound on its way: rings, mixer, recordings, live input, and streaming signal processing."""
