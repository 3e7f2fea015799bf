"""What the learning loop keeps: datasets, evaluations, reservations, answer scores, bases, adapters and promotions."""
