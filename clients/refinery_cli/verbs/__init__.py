"""A file is a verb of the command."""
