"""Smaller and faster graphs.

- ``winograd``: short filters with fewer multiplications.
- ``products``: convolutions as matrix products.
- ``int8``: weights in half precision, or matrix products in 8 bits.
- ``int4``: matrix products with a scale for each row, weights in 8 or 4 bits.
"""
