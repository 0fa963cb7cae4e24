"""The AI's door: model bundles, inference and its results as standard objects."""
