"""What lies where in a repository."""
