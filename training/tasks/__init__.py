"""What is trained: one task a file, made from settings by a recipe, run by the loop."""
