"""The critic: a small model that says which of two versions is better, trained and asked in both orders."""
