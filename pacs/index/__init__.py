"""The index: tables, the group-commit writer and the query compiler."""
