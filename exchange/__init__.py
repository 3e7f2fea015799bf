"""What crosses the border: instance files and predictions in SWE-bench's form."""
