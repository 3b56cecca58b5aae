"""Smaller and faster graphs."""
