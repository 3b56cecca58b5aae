"""GETMusic as graphs."""
