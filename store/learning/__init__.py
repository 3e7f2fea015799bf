"""What the learning loop writes to the databases and asks of them."""
