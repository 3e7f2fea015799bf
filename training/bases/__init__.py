"""Frozen bases: directories of weights by the hash of their files, with their metadata and chat formats."""
