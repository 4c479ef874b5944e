"""What callers meet: the service's methods, read, answered and refused."""
