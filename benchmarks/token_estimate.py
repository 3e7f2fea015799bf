"""How far is the estimate of tokens from a tokenizer's count? Files of checkouts, by kind, and their lists of paths.

    uv run python benchmarks/token_estimate.py TOKENIZER_JSON CHECKOUT...

`mean` is all estimated tokens over all counted ones, `least` the same of the text that is most underestimated (of at
least 50 tokens). Under 1 a prompt may turn out longer than planned.
"""

import argparse
import tempfile
from pathlib import Path

from tokenizers import Tokenizer

from models.tokens import estimate_tokens
from repos.git import Git, clone

KINDS = {"python": (".py",), "prose and settings": (".md", ".rst", ".toml", ".cfg")}


def texts(git: Git) -> dict[str, list[str]]:
    """The texts at HEAD by kind."""
    entries = [entry for entry in git.tree(git.resolve("HEAD")) if entry.mode.startswith("100")]
    blobs = git.blobs(sorted({entry.blob for entry in entries}))
    found = {
        kind: [blobs[each.blob].decode("utf-8", "replace") for each in entries if each.path.endswith(suffixes)]
        for kind, suffixes in KINDS.items()
    }
    return found | {"paths": ["\n".join(entry.path for entry in entries)]}


def main() -> None:
    """Print a line for each checkout and kind."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("tokenizer", type=Path)
    options.add_argument("checkouts", type=Path, nargs="+")
    given = options.parse_args()
    tokenizer = Tokenizer.from_file(str(given.tokenizer))
    for checkout in given.checkouts:
        with tempfile.TemporaryDirectory() as folder:
            by_kind = texts(clone(str(checkout), Path(folder) / "clone"))
        for kind, found in by_kind.items():
            pairs = [
                (len(tokenizer.encode(text, add_special_tokens=False).ids), estimate_tokens(text)) for text in found
            ]
            pairs = [pair for pair in pairs if pair[0] >= 50]
            if pairs:
                mean = sum(guess for _, guess in pairs) / sum(count for count, _ in pairs)
                least = min(guess / count for count, guess in pairs)
                print(f"{checkout.name:16} {kind:20} {len(pairs):5} texts  mean {mean:.2f}  least {least:.2f}")


main()
