"""Evaluation of retrieval and, stage by stage, of the models, on held-out commits."""
