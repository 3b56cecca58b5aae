"""Measurements of trained networks.

- ``sound``: distance of two sets of sounds; beats, chords and onsets of one.
- ``codes``: reconstruction by a codec; losses of a language model of codes.
- ``playing``: how well a language model of codes follows beats and chords.
- ``words``: how well a language model of codes follows its text.
- ``bands``: distance of a band's playing from real playing.
- ``band_baselines``: bands without a network, to compare with.
- ``band_defaults``: densities and registers of real bands, the defaults of a live band.
- ``sampler``: sampling of hidden cells, in torch.
- ``band_play``: a trained network as a player, window by window.
- ``band_report``: tables of a trained band next to the baselines.
- ``pianoroll``: a grid as a picture.
"""
