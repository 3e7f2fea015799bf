"""Code of repositories as token ids: one stream to train on, and sequences of each repository to measure by."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from models.errors import TrainingError
from repos.git import Git
from training.data.sources.lintseq.programs import Origin, programs_of_repository
from training.data.sources.lintseq.recipe import SourceProgram


class CodeSource(NamedTuple):
    """A repository whose Python files are read at a commit."""

    name: str
    git: Git
    commit: str


class CodeSequence(NamedTuple):
    """Token ids of one stretch of a repository's code."""

    repository: str
    ids: list[int]


def training_chunks(
    sources: Sequence[CodeSource], tokenizer: Any, tokens: int, length: int, seed: int
) -> list[list[int]]:
    """`tokens` tokens of code in chunks of `length`, in an order of the seed; what is left of a chunk is dropped.

    The stream is the same for every length and seed: files of the repositories in turn. Raises TrainingError if they
    have fewer tokens.
    """
    turns = zip_longest(*(_files(source, tokenizer) for source in sources))
    stream: list[int] = []
    for turn in turns:
        for ids in turn:
            stream += ids or []
        if len(stream) >= tokens:
            break
    else:
        raise TrainingError(
            f"--tokens {tokens}: the repositories to train on have {len(stream)} tokens of Python; give more of them"
        )
    chunks = [stream[start : start + length] for start in range(0, tokens - length + 1, length)]
    random.Random(seed).shuffle(chunks)
    return chunks


def measured_sequences(source: CodeSource, tokenizer: Any, length: int, count: int) -> list[CodeSequence]:
    """At most `count` sequences of exactly `length` tokens of a repository's code, the same each time."""
    stream: list[int] = []
    for ids in _files(source, tokenizer):
        stream += ids
        if len(stream) >= length * count:
            break
    return [
        CodeSequence(source.name, stream[start : start + length])
        for start in range(0, min(len(stream), length * count) - length + 1, length)
    ]


def _files(source: CodeSource, tokenizer: Any) -> Iterator[list[int]]:
    """Token ids of each Python file that people wrote, its path before it, an end of text after it; in an order that
    depends on the paths only."""
    origin = Origin(source.name, source.commit, commit=source.commit)
    programs = [each for each in programs_of_repository(source.git, origin) if isinstance(each, SourceProgram)]
    programs.sort(key=lambda each: hashlib.sha256(each.path.encode()).digest())
    for program in programs:
        ids: list[int] = tokenizer(f"# {program.path}\n{program.text}", add_special_tokens=False)["input_ids"]
        yield [*ids, tokenizer.eos_token_id]
