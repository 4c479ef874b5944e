"""What the services share: the noun, the door, the store."""
