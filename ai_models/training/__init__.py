"""How the models are made: recipe, data, training, bundle."""
