"""The live band: its ports, its clock, its options, and how it is shown."""
