"""The resolver: resolves references and schemas, then and now, and finds what a change breaks."""
