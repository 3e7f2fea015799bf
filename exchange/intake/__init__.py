"""Repo packages that arrive on a medium: copied, checked, validated again, moved into the corpus, and recorded."""
