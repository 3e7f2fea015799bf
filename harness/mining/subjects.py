"""A commit's subject as a person reads it: without ornaments, with the marks of a convention apart.

`:bookmark: chore(release): Bumps version 1.2 → 1.3 (#12) [skip ci]` has the marks `:bookmark:` and `chore(release)`,
and the text `bump version 1.2 to 1.3`.
"""

import re
from dataclasses import dataclass
from functools import cache

_LONGEST = 500
"""Characters of a subject that are read."""
_FRONT = re.compile(
    r"""
      (?P<mark>
          :[a-z0-9_+-]+:                                       # :sparkles:
        | \[[^\]]*\](?:\s*:)?                                  # [subsystem] or [tool]
        | (?!(?:bump|release|version|tag)\b)
          (?:docs?[ ]fix(?:es)?|[\w./-]+)(?:\([^)]*\))?!?:(?=\s)  # feat(scope)!:
      )
    | (?:\#|gh-|bpo-|(?-i:[A-Z]{2,})-)\d+\s*(?:[:,.-]\s|\s)    # #123 or ABC-12:
    | (?:fixup|squash|amend)!
    | (?P<sign>[^\w\s"'`(\[\#:@]+)(?!\w*[.\d])                 # an emoji or a bullet
    """,
    re.IGNORECASE | re.VERBOSE,
)
_REFERENCE = r"(?:(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?|refs?|see|re):? )?(?:[\w./-]*\#|gh-|!)\d+"
_END = re.compile(
    rf"(?: ?[(\[] ?{_REFERENCE}(?:[ ,&]+{_REFERENCE})* ?[)\]]"
    r"| (?:\#|gh-)\d+"
    r"| ?[\[(*]+(?:skip[ -]ci|ci[ -]skip|skip[ -](?:actions|travis|appveyor|cd|netlify)|no[ -]ci)[\])*]+"
    r"| ?:[a-z0-9_+-]+:|[ .!,;…\u2600-\u27bf\ufe0f\u200d\U0001f000-\U0001faff]+|:)$",
    re.IGNORECASE,
)
_OWN_NAME = re.compile(r"^(?:bump|release|version|tag):\s+(?=[a-z])", re.IGNORECASE)  # "release: bump to 1.2"
_ARROW = re.compile(r"\s*(?:→|➜|➔|⇒|=>|->|~>)\s*")
_EMOJI = {"🔖": ":bookmark:", "📝": ":memo:", "👷": ":construction_worker:", "💚": ":green_heart:"}
_VERBS = """
    add adjust apply back begin bump change clarify clean correct create cut document edit expand extend
    finalise finalize finish fix format generate improve increase increment lock make mark open optimize pin polish prep
    prepare publish raise reformat regenerate release reword rewrite roll set setup start sync tag translate tweak up
    update upgrade
"""


@dataclass(frozen=True)
class Subject:
    """A subject, all in lower case: the marks in front (`ci`, `chore(deps)`, `[tool]`, `:memo:`), and the rest, whose
    first word has lost its inflection if it is a verb of housekeeping."""

    marks: tuple[str, ...]
    text: str


def read_subject(raw: str) -> Subject:
    """Take a subject apart. Arrows become `to`; quotes, references and signs at the end are dropped."""
    rest = " ".join(raw[:_LONGEST].split())
    marks: list[str] = []
    while rest and (found := _FRONT.match(rest)) and found.end():
        if found["mark"]:
            marks.append(found["mark"].lower().rstrip(": ").removesuffix("!") if found["mark"][0] != ":" else found[0])
        elif found["sign"]:
            marks += [name for sign, name in _EMOJI.items() if sign in found["sign"]]
        rest = rest[found.end() :].lstrip()
    rest = _OWN_NAME.sub("", rest)
    while (shorter := _END.sub("", rest)) != rest:
        rest = shorter
    words = re.sub(r"[`'\"“”‘’]", "", _ARROW.sub(" to ", rest)).lower().split()
    if words:
        words[0] = _lemmas().get(words[0], words[0])
    return Subject(tuple(marks), " ".join(words))


@cache
def _lemmas() -> dict[str, str]:
    """The regular inflections of the verbs, and `began`."""
    found = {"began": "begin", "begun": "begin", "upped": "up", "upping": "up"}
    for verb in _VERBS.split():
        stem = verb.removesuffix("e")
        doubled = verb + verb[-1]
        forms = (f"{verb}s", f"{verb}es", f"{stem}ed", f"{stem}ing", f"{doubled}ed", f"{doubled}ing")
        found |= {form: verb for form in forms if form not in found}
    return found
