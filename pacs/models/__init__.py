"""Which AI models this installation has, which of them works, and what shadows of it would say."""
