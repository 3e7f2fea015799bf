"""The relevance classifier: questions from histories, its fitting, and how good it is."""
