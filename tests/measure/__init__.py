"""Measurements that are recorded rather than asserted: they need a trained bundle and minutes."""
