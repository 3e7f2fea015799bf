"""A small model that classifies one candidate per prompt: prompts, training, and its use in a study."""
