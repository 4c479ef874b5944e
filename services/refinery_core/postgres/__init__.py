"""The store: pool, named queries, migrations. The only SQL of the project is below here."""
