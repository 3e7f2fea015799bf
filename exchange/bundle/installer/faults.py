"""The installer's own errors."""


class InstallError(Exception):
    """Why the installation does not go on, and what to do about it."""


class PartsMissing(InstallError):
    """Parts of the bundle have not been given yet; what was given is kept."""
