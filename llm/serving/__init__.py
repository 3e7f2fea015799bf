"""Serving a base and its adapters: the process, what is loaded into it, and the proof that it has an effect."""
