"""Stored runs become datasets: pairs and preferences, teacher scores, curation."""
