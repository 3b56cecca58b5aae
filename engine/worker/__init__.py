"""The process of one voice: its orders, its turn, its background tasks, and the process seen from outside."""
