"""Activities: they touch the world, once or again."""
