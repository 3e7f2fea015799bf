"""A page as HTML, and as a file."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from cli.pages.section import Section
from models.errors import UsageError

FOOTER = "This file holds all of its page; it loads nothing and runs no script."


def render(title: str, notes: Sequence[str], sections: Sequence[Section]) -> str:
    """The page with its pictures. All text is escaped; the same figures give the same page."""
    pictures = {
        section.key: section.draw(section.title, section.in_words()) if section.draw else "" for section in sections
    }
    return _template().render(title=title, notes=notes, sections=sections, pictures=pictures, footer=FOOTER) + "\n"


def write_page(file: Path, page: str) -> None:
    """Write a page in place of what was there, whole or not at all. Raises UsageError if it cannot be written."""
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_text(page, encoding="utf-8", errors="backslashreplace")
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"{file} cannot be written: {error.strerror}; give a file in a folder of yours") from error


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.jinja")
