"""Reasons for which a repo package that arrives is refused."""

from enum import StrEnum


class RefusalReason(StrEnum):
    """Why a package was refused: the first check that it did not pass."""

    # the medium or this machine; worth another try
    UNREADABLE = "unreadable"  # the medium was pulled, or is damaged
    NO_ANSWER = "no-answer"  # the medium, within `intake.read_seconds`
    DISK_FULL = "disk-full"
    MACHINE = "machine"
    # the tree as it lies on the medium
    NO_PACKAGE = "no-package"  # beside the packages, and no package
    NOT_A_FILE = "not-a-file"  # a link, device, pipe or socket
    PRIVILEGED = "privileged"  # setuid or setgid
    OTHER_FILE_SYSTEM = "other-file-system"  # something is mounted inside the package
    BAD_NAME = "bad-name"
    NAME_COLLISION = "name-collision"
    TOO_LONG = "too-long"
    TOO_DEEP = "too-deep"
    TOO_LARGE = "too-large"
    TOO_MANY_FILES = "too-many-files"
    CHANGED = "changed"  # while it was copied
    EXECUTABLE = "executable"
    ARCHIVE = "archive"
    FOREIGN_FILE = "foreign-file"  # no part of the package format
    # the manifest
    SCHEMA = "schema"
    MANIFEST = "manifest"
    IDENTITY = "identity"  # claims contradict the content
    # the wheels
    WHEEL = "wheel"
    WHEEL_SET = "wheel-set"  # missing, or not in the manifest
    WHEEL_ALTERED = "wheel-altered"  # a file of this name is known here, with another hash
    WHEEL_PLATFORM = "wheel-platform"
    WHEEL_SHADOWS = "wheel-shadows"
    WHEEL_STARTUP = "wheel-startup"
    WHEEL_SCRIPT = "wheel-script"
    # the history
    GIT_FILES = "git-files"
    GIT_REFS = "git-refs"
    GIT_SIZE = "git-size"
    GIT_OBJECTS = "git-objects"
    GIT_SUBMODULE = "git-submodule"
    # the corpus here
    RESERVED_COPY = "reserved-copy"
    NAME_TAKEN = "name-taken"
    DOWNGRADE = "downgrade"
    REWRITTEN = "rewritten"
    UPDATE_CONFLICT = "update-conflict"
    # the sandbox
    ENVIRONMENT = "environment"
    NO_VALID_INSTANCE = "no-valid-instance"

    @property
    def transient(self) -> bool:
        """Whether the same package may pass another time."""
        return self in (
            RefusalReason.UNREADABLE,
            RefusalReason.NO_ANSWER,
            RefusalReason.DISK_FULL,
            RefusalReason.MACHINE,
        )
