"""What a model must offer to be played."""
