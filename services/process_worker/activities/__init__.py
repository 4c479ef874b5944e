"""Activities: steps of an execution that touch the world, and may be repeated."""
