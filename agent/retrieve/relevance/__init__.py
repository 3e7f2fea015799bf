"""The relevance classifier: what files and symbols are to a task, without a language model."""
