"""Share links: a secret that opens one study until it expires or is revoked."""
