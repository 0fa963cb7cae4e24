"""People and machines: who they are, how they prove it, and what their role permits."""
