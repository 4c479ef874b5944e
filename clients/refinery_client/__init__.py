"""The door from outside: the typed, asynchronous Python client."""
