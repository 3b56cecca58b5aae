"""GETMusic: discrete diffusion over a grid of tracks and time.

- ``facts``: what a bundle says about its network.
- ``network``: the graphs as one function: logits for given cells of given grids.
- ``plan``: which cells are decided in which pass, and through which window of a long score.
- ``board``: the grids being filled: what is open, what is decided, which tokens are allowed.
- ``limits``: register, density and chord limits of an infill, as allowed tokens.
- ``defaults``: density and register of a part for which nothing is set.
- ``model``: an infill, pass by pass.
- ``sheet``: a score to grids and back, for some bars of some tracks.
- ``accompanist``: the band's next bar from the player's notes, the chords and the bars before.
"""
