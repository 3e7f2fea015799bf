"""Whether a smaller window is worth having: a base that was reduced and trained on, against the same training alone."""
