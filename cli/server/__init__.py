"""The server on this machine: its programs under a supervisor, and how commands find it."""
