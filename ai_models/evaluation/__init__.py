"""How good a model is, on which images, beside what trivial baseline."""
