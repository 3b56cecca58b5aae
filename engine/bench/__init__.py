"""How fast this machine plays: measurements beside a peer, and of live voices."""
