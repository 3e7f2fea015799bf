"""Comparisons for a critic: from histories, and from campaigns."""
