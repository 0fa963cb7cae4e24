"""The running product: a supervisor, the database, and one process a part."""
