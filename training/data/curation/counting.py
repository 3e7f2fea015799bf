"""Token counts by the tokenizer of the base to be trained."""

from typing import TYPE_CHECKING

from llm.tokens import TextCounter
from models.errors import RegistryError
from models.tokens import estimate_tokens

if TYPE_CHECKING:
    from store.database import Engine


def counter_of(curated: "Engine", base: str | None) -> tuple[TextCounter, str]:
    """A counter and its description: a base's tokenizer, or an estimate on the high side.

    Raises RegistryError for a base that is unknown or has no tokenizer.
    """
    if base is None:
        return TextCounter("estimate", estimate_tokens), "estimate"
    from tokenizers import Tokenizer

    from training.bases.bases import find_base

    found = find_base(curated, base)
    path = found.path / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise RegistryError(f"base {base}: {path} is no tokenizer.json ({error}); add the base again") from error

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return TextCounter("tokenizer.json", count), f"{found.name} {found.id[:12]}"
