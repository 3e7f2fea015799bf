"""Training on another machine: what leaves (`packing`), what runs there (`run`, `work`), and what comes back."""
