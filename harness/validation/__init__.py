"""Judging a candidate by the commit's hidden tests, protected against tampering with the verdict."""
