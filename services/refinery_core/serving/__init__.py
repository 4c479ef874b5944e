"""The door from inside: server, interceptors, refusals to statuses."""
