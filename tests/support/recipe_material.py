"""Pairs as recipes make them."""

from models.training import Pair, PairSource
from training.data.sources.coding import code_pair
from training.data.sources.collections import recipe_provenance

WORDS = ("parser", "cache", "registry", "plural", "marker", "callback", "token", "frame", "header", "queue", "lease")


def a_pair(source: PairSource, number: int, *, lines: int = 1) -> Pair:
    """A pair of the code stage with a task and a program of its own; the program has `lines` statements."""
    word = f"{WORDS[number % len(WORDS)]}_{number}"
    content = source.value.replace("-", "_")
    owner = f"{source.value}-{number % 5}"
    provenance = recipe_provenance(
        source, f"{source.value}-{number}", repository=f"{owner}/r", organisation=owner, domain=owner, license="MIT"
    )
    body = "".join(f"    {word}_{content}{line} = {number * 7919 + line * 31}\n" for line in range(lines))
    program = f"def {word}():\n{body}"
    made = code_pair(source, f"Write the {word} {content}", f"Add `{word}`", f"{word}.py", None, program, provenance)
    assert isinstance(made, Pair)
    return made
