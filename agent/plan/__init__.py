"""Plans parsed from the answers of the planning stages."""
