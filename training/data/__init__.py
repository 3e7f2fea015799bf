"""From stored runs to datasets: pairs and preferences, teacher scores, curation."""
