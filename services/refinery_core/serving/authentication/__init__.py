"""Authentication: from a client certificate or a bearer token to a principal and its groups."""
