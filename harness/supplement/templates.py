"""Templates of prompts: one file for each prompt, with a block for each role."""

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template


def block(folder: Path, template: str, name: str, **values: object) -> str:
    """The text of a template's block, ending in one line end."""
    found = _template(folder, template)
    return "".join(found.blocks[name](found.new_context(values))).strip() + "\n"


@lru_cache
def _template(folder: Path, name: str) -> Template:
    environment = Environment(  # noqa: S701 - prompts are no HTML
        loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["fenced"] = _fenced
    return environment.get_template(name)


def _fenced(text: str, info: str) -> str:
    """Text in a fence that none of its lines can close."""
    longest = max((len(line) - len(line.lstrip("`")) for line in text.split("\n")), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{info}\n{text if text.endswith(chr(10)) else text + chr(10)}{fence}"
