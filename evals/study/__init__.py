"""The study of scope: what a ranking, a classifier and a model know of which files matter, on repositories held out."""
