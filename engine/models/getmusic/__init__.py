"""GETMusic: discrete diffusion over a grid of notes."""
