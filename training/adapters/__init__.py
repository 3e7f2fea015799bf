"""The registry of adapters, and their export."""
