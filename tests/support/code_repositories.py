"""Repositories of plausible Python, each with code of its own, for what reads code as text."""

from pathlib import Path

from repos.git import Git
from tests.support.index_material import repository

VERBS = ("parse", "render", "collect", "merge", "locate", "expire", "format", "resolve", "decode", "register")
NOUNS = ("token", "frame", "header", "lease", "record", "marker", "window", "bucket", "plural", "cursor")


def code_repository(folder: Path, name: str, files: int = 4, functions: int = 8) -> Git:
    """A repository at `folder/name` with modules of functions, constants, imports and data, and a licence."""
    words = [f"{verb}_{noun}" for verb in VERBS for noun in NOUNS]
    offset = sum(map(ord, name)) % len(words)
    contents: dict[str, str] = {
        "LICENSE": "MIT License\n\nPermission is hereby granted, free of charge, to any\nperson obtaining a copy\n"
    }
    for number in range(files):
        start = offset + number * functions
        used = [words[(start + k) % len(words)] for k in range(functions)]
        imported = [f"from {name}.part_{number}_{k} import {word}_helper" for k, word in enumerate(used[:3])]
        constants = [f"{word.upper()}_LIMIT = {1000 + 37 * (start + k)}" for k, word in enumerate(used)]
        bodies = [_function(word, start + k) for k, word in enumerate(used)]
        text = f'"""Module {number} of {name}."""\n\n' + "\n".join([*imported, "", *constants, "", "", *bodies])
        contents[f"{name}/module_{number}.py"] = text
    return repository(folder / name, contents)


def _function(word: str, number: int) -> str:
    return (
        f"def {word}(value, limit={number}):\n"
        f'    """Return the {word.replace("_", " ")} of a value."""\n'
        f"    if value is None:\n"
        f"        raise ValueError('{word} needs a value, not {number}')\n"
        f"    found_{number} = [item for item in value if item != {number * 3}]\n"
        f"    return found_{number}[:limit]\n\n"
    )
