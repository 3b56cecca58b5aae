"""What browsers and OSCQuery clients see.

- ``oscquery``: the address space as JSON over HTTP.
"""
