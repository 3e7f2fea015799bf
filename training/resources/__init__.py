"""What a training takes before it is started: memory by part, the largest micro-batch, time and cost."""
