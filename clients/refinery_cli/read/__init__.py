"""Reads what people write: documents, YAML, request files, files of schemas."""
