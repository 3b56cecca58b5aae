"""Speed of builds on this machine.

- ``peer``: networks of the published sizes with random weights, to compare with.
- ``fastest``: every build of a bundle, measured; the fastest is kept.
"""
