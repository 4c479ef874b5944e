"""The language of processes and capabilities: model, checker and the lint of its expressions. Pure."""
