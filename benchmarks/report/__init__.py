"""RESULTS.md and the numbers behind it, for people who were not there."""
