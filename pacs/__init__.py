"""The archive: studies, people, jobs and records of what happened. Speaks no network protocol."""
