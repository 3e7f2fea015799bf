"""Studies: what a ranking, a classifier and a model know of what files and symbols matter, on repositories held out."""
