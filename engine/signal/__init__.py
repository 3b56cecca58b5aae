"""Streaming signal processing with explicit state: resampling, joining, levels."""
