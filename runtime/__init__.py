"""Running untrusted code: sandbox, environments, test runners."""
