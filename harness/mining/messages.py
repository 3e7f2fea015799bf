"""Commit messages as tasks: removal of bookkeeping, and the test whether the rest requests a change.

The latter is the verb-direct-object test of commit data sets, without a tagger: the first word has a verb lemma, and an
object, a clause or (for some verbs) a prepositional phrase follows. A word that is a noun as often as a verb counts
only if it is a known action or a determiner follows ("Bounce the server").
"""

import re
from enum import StrEnum
from functools import cache

from harness.mining import words


class MessageFault(StrEnum):
    """The defect of a message as a task: the first test that fails."""

    SHORT = "short"
    GENERIC = "generic"
    NO_ACTION = "no-action"


_REFERENCE = r"(?:[\w.-]+/[\w.-]+)?(?:#|gh-)\d+|https?://\S+/(?:issues|pull|pulls|merge_requests|discussions)/\d+\S*"
_REFERENCES = rf"(?:{_REFERENCE})(?:(?:\s*(?:,|and|&)\s*|\s+)(?:{_REFERENCE}))*"
_CLOSES = (
    r"(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?|ref(?:s|erences)?|see(?: also)?|part of|relate[sd] to|re|cf)"
    r"(?: +(?:issue|bug|pr|pull request)s?)?"
)
_REFERENCE_LINE = re.compile(rf"^[\s(*-]*(?:{_CLOSES})?:?\s*{_REFERENCES}[\s).]*$", re.IGNORECASE)
_REFERENCE_END = re.compile(
    rf"[\s,;.-]*(?:[(\[]\s*(?:{_CLOSES}:?\s+)?{_REFERENCES}\s*[)\]]"
    rf"|\b{_CLOSES}:?\s+{_REFERENCES})\s*\.?\s*$",
    re.IGNORECASE,
)
_TRAILER = re.compile(
    r"^\s*(?:(?:signed-off|co-authored|co-developed|reviewed|acked|tested|reported|suggested|helped|approved)-by"
    r"|cc|change-id|git-svn-id|reviewed-on|fixes|closes|refs?|see-also|issue|bug|pull-request|pr"
    r"|differential revision)\s*:\s*(?:\S+@\S+|.*<\S+@\S+>|#?\d+|I[0-9a-f]{40}|https?://\S+|.*@\d+ .*)\s*$",
    re.IGNORECASE,
)
_SQUASHED = re.compile(  # bookkeeping of the branch in a squash merge
    r"[\s*-]*(?:\[pre-commit\.ci\].*|for more information, see https?://pre-commit\.ci"
    r"|merge (?:branch|remote-).*|apply suggestions? from (?:code review|@\S+)"
    r"|(?:address|apply)(?: code)?(?: review)? (?:comments|feedback)|-{5,})\.?",
    re.IGNORECASE,
)
_PREFIXES = re.compile(
    r"""^(?:
        \[[^\]]*\]\s*:?                                     # [subsystem]
      | \([^)]*\)\s*:?                                      # (subsystem)
      | (?:fixup!|squash!|amend!)
      | [\w./-]+(?:\([^)]*\))?!?:(?=\s)                     # feat(scope)!: or module:
      | (?:\#|gh-|bpo-|[A-Z]{2,}-)\d+\s*[:,.-]?             # #123
      | :[a-z0-9_+-]+:                                      # :sparkles:
      | [\w./]+\ -\                                         # module -
      | [^\w\s"'`(\[]+                                      # an emoji, a bullet
    )\s*""",
    re.VERBOSE,
)
_NOT_DONE = re.compile(
    r"\W*wip\b|(?:fixup|squash|amend)!|initial commit\b"
    r"|merge (?:branch|pull request|remote-tracking|tag|commit)\b",
    re.IGNORECASE,
)
_LONG = 1_000  # characters above which a line is no subject, trailer or reference
_TOKEN = re.compile(r"[^\s,;:()\[\]{}\"“”!?]+")


def task_text(message: str) -> str:
    """The message without trailers, references to issues and pull requests, and surplus blank lines."""
    kept: list[str] = []
    for line in message.strip().splitlines():
        text = line.rstrip()
        if text and len(text) <= _LONG:
            text = _without_reference_end(text)
            if not text or _TRAILER.match(text) or _REFERENCE_LINE.match(text):
                continue
            if kept and _SQUASHED.fullmatch(text):
                continue
        kept.append(text)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _without_reference_end(line: str) -> str:
    while (shorter := _REFERENCE_END.sub("", line)) != line:
        line = shorter
    return line


def bare_subject(text: str) -> str:
    """The first line of a task without prefixes: `feat(scope): `, `[subsystem] `, `#123 `, emoji."""
    subject = text.strip().partition("\n")[0][:_LONG]
    while (shorter := _PREFIXES.sub("", subject, count=1)) != subject:
        subject = shorter
    return subject.strip()


def fault(message: str, min_words: int) -> MessageFault | None:
    """Why a message is no task, or None if it is one. `min_words` counts the words of the bare subject."""
    text = task_text(message)
    subject = bare_subject(text)
    tokens = _tokens(subject)
    if _is_generic(text, tokens):
        return MessageFault.GENERIC
    if len(tokens) < min_words:
        return MessageFault.SHORT
    if text.lower().startswith("fix:"):  # "fix: crash when ..." means "fix a crash when ..."
        tokens = ["fix", *tokens] if not names_an_action(tokens) else tokens
    return None if names_an_action(tokens) else MessageFault.NO_ACTION


def _tokens(subject: str) -> list[str]:
    stripped = (raw.strip(".'’`*") for raw in _TOKEN.findall(subject))
    return [token for token in stripped if re.search(r"\w", token)]


def _is_generic(text: str, tokens: list[str]) -> bool:
    lowered = [token.lower() for token in tokens]
    return bool(_NOT_DONE.match(text)) or " ".join(lowered) in words.GENERIC


def names_an_action(tokens: list[str]) -> bool:
    """Whether the words of a subject begin with a verb that has an object."""
    rest = [token.lower() for token in tokens]
    negated = False
    while rest and (rest[0] in words.OPENERS or (rest[0].endswith("ly") and rest[0] not in words.ACTIONS)):
        negated = negated or rest[0] in words.NEGATIONS
        rest = rest[1:]
    if len(rest) < 2:
        return False
    lemma, certain = _verb(rest[0])
    after = rest[1:]
    if lemma is None or (not certain and after[0] not in words.DETERMINERS):
        return False
    if lemma in words.NOUNISH and after[0] in words.COMPOUND_HEADS:
        return False
    return negated or _has_object(lemma, after)


def _has_object(lemma: str, after: list[str]) -> bool:
    """Whether the words after a verb are an object: a noun phrase, a clause, or a phrase that this verb takes."""
    takes_phrase = lemma in words.PREPOSITIONAL
    while after and after[0] in words.PARTICLES:
        after, takes_phrase = after[1:], True
    if not after:
        return False
    first, more = after[0], after[1:]
    if first in words.CONDITIONS:
        return bool(more) and lemma in words.CONDITIONAL
    if first == "to" and more and _verb(more[0])[0] is not None:
        return True
    if first in words.PREPOSITIONS:
        return bool(more) and takes_phrase
    if first in words.CONJUNCTIONS:  # "Fix and test ..."
        return len(more) > 1 and _verb(more[0])[0] is not None
    return True


@cache
def _verb(word: str) -> tuple[str | None, bool]:
    """The verb lemma of a word, or None; and whether the word is certainly a verb.

    For `enter/exit` the first half is used, for `soft-deprecate` the last.
    """
    word = word.split("/")[0]
    candidates = (word, word.replace("-", ""), *word.split("-")[:0:-1])
    for candidate in candidates:
        for lemma in (candidate, *_stems(candidate)):
            if lemma in words.ACTIONS:
                return lemma, True

    from lemminflect import getAllLemmas  # its dictionary takes a third of a second to load

    for candidate in candidates:
        by_class: dict[str, tuple[str, ...]] = getAllLemmas(candidate)
        lemmas = by_class.get("VERB", ())
        if action := next((lemma for lemma in lemmas if lemma in words.ACTIONS), None):
            return action, True
        if lemmas:
            return lemmas[0], not {"NOUN", "ADJ", "ADV"} & set(by_class)
        if not by_class and (made := re.fullmatch(r"(\w{3,}(?:i[sz]e|ify))(?:s|d|ing)?", candidate)):
            return made[1], True
    return None, False


def _stems(word: str) -> list[str]:
    """Regular inflections undone, which is enough for most actions (`fixes`, `refactored`)."""
    endings = (("ing", ""), ("ing", "e"), ("ed", ""), ("d", ""), ("es", ""), ("s", ""), ("ies", "y"))
    return [word.removesuffix(ending) + put for ending, put in endings if word.endswith(ending)]
