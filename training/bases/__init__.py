"""Frozen bases: directories of weights by the hash of their files, their facts and their chat formats."""
