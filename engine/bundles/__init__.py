"""Folders of graphs that were exported together: found, verified, opened."""
