"""Who did what, who looked at what: rows that can be added and never changed."""
