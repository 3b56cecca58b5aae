"""What bridge and engine say to each other: frozen commands in, frozen events out."""
