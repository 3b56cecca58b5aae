"""Both GETMusic networks as bundles.

- ``modules``: the networks as they are traced.
- ``bundle``: checkpoint to bundle.
"""
