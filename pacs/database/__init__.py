"""PostgreSQL: the embedded server, connections and the schema's migrations."""
