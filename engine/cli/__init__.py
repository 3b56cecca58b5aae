"""Commands for whole files.

- ``continuation``: `ripieno continue`.
- ``infill``: `ripieno infill`.
"""
