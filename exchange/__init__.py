"""Import and export of instances and predictions in SWE-bench's format."""
