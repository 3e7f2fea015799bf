"""Questions whose answers lie at a known depth of a context, and how well a model finds them at each depth."""
