"""What a server is told and asked: deployments, automations, runs of the dead, workers and their state."""
