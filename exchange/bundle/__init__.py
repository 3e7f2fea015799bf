"""The bundle: one folder, or parts for media, with all that an installation on a machine without a network needs."""
