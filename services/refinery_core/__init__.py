"""The code that the services share: the noun, the door, the store."""
