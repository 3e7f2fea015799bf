"""Running code of strangers: sandbox, environments, test runners."""
