"""Which build is fastest here, and the peers to compare with."""
