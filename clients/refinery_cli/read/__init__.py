"""Reads the input of people: documents, YAML, request files, schema files."""
