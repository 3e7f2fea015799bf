"""Plans, read from the answers of the planning stages."""
