"""Tests that a teacher wrote for a commit whose own tests do not distinguish it from its parent."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from models.plans import Frozen

FOLDER = "generated"
"""Folder of a repo package that holds generated test files, each named by the SHA-256 of its content."""


class Failing(StrEnum):
    """How a test fails, from the strongest evidence about behaviour to the weakest."""

    ASSERTION = "assertion"
    EXCEPTION = "exception"  # an error in the test's body or in a fixture: a missing attribute, a wrong argument
    IMPORT = "import"  # the test itself imports something missing
    COLLECTION = "collection"  # its module cannot be imported or parsed, so none of it ran
    RUN = "run"  # the run did not end by itself: killed, crashed


class GeneratedFile(Frozen):
    """A test file: its path in a work tree, and the hash of its UTF-8 bytes."""

    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class GeneratedTests(Frozen):
    """Why an instance is valid although its commit's own tests distinguish nothing.

    `told_apart` holds the accepted fail-to-pass tests of these files, each with how it fails on the parent.
    `instead_of` is the reason for which the commit was invalid without them. Hashes are of the exact prompt and of the
    raw answer, whose texts are stored in the raw database.
    """

    oracle: Literal["generated-tests"] = "generated-tests"
    files: tuple[GeneratedFile, ...] = Field(min_length=1)
    told_apart: dict[str, Failing] = Field(min_length=1)
    instead_of: str
    instead_of_detail: str = ""
    model: str
    prompt_hash: str
    answer_hash: str
    round: int = Field(description="number of the teacher's answer, from 1")
