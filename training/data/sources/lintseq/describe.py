"""What an edit adds to a program, in plain words that are read from its statements."""

import ast
import keyword
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

from repos.syntax import parse_python
from repos.text import BOM
from training.data.sources.lintseq.statements import MODULE, Program, Unit

_MOST_ITEMS = 12
_SHOWN = 100
"""Characters of an import, or of the first line of a docstring, that are repeated."""
_CALL = re.compile(r"(?:await )?([\w.]+)\(")
_TARGET = re.compile(r"([\w.]+)\s*(?::[^=]*)?(?:[-+*/%@&|^]|//|\*\*|<<|>>)?=(?!=)")
_BARE_ANNOTATION = re.compile(r"([\w.]+)\s*:")
_STRING = re.compile(r"[A-Za-z]{0,2}[\"']")
_KEYWORDS = frozenset(keyword.kwlist) - {"await"}
_CLAUSES = frozenset({"elif", "else", "except", "finally"})


def task_of(program: Program, text: str, path: str) -> str:
    """The task of writing a program that comes without one: what its docstring says it is, or what it defines."""
    docstring = ast.get_docstring(parse_python(text.removeprefix(BOM))) or ""
    first = " ".join(docstring.partition("\n\n")[0].split())
    if first:
        return f"Write the module `{path}`: {first[: _MOST_ITEMS * _SHOWN]}"
    named = [f"`{name}`" for unit in program.units if unit.suite == MODULE and (name := _defined(unit))]
    if len(named) > _MOST_ITEMS:
        named = [*named[:_MOST_ITEMS], f"{len(named) - _MOST_ITEMS} more definitions"]
    return f"Write the module `{path}`" + (f" with {_joined(named)}." if named else ".")


def step_of(program: Program, added: Collection[int], creates: bool) -> str:
    """The step that adds these units."""
    tops = [program.units[each] for each in sorted(added) if not _within(program.units[each], added)]
    start = "Create the file with" if creates else "Add"
    return f"{start} {_listed(program, tops)}."


def lines_step(program: Program, added: Sequence[int], creates: bool) -> str:
    """The step that adds these lines, of no matter what."""
    scopes = dict.fromkeys(_scope(program, program.owner[line]) for line in added)
    places = [f"in `{name}`" if name else "at the top level" for name in scopes]
    if len(places) > _MOST_ITEMS:
        places = [*places[:_MOST_ITEMS], "elsewhere"]
    count = f"{len(added)} line{'s' if len(added) > 1 else ''}"
    return f"{'Create the file with' if creates else 'Add'} {count} {_joined(places)}."


def _within(unit: Unit, added: Collection[int]) -> bool:
    return unit.suite in added or unit.clause_of in added


def _listed(program: Program, tops: Sequence[Unit]) -> str:
    parts: list[str] = []
    left = _MOST_ITEMS
    for scope, units in groupby(tops, lambda unit: _scope(program, unit.suite)):
        items = list(_counted([_item(program, unit) for unit in units]))
        if len(items) > left:
            parts += [_joined([*items[:left], "more"])] if left else ["more"]
            break
        left -= len(items)
        where = f" in `{scope}`" if scope else " at the top level" if parts else ""
        parts.append(_joined(items) + where)
    return "; ".join(parts)


def _counted(items: list[str]) -> Iterator[str]:
    """Items in a row that read alike, once with their number."""
    for item, alike in groupby(items):
        count = len(list(alike))
        yield item if count == 1 else f"{count} times {item}"


def _joined(items: Sequence[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def _scope(program: Program, number: int) -> str:
    """The name of the innermost function or class around a unit, itself included, with those around it."""
    names = []
    while number != MODULE:
        unit = program.units[number]
        if name := _defined(unit):
            names.append(name)
        number = unit.suite
    return ".".join(reversed(names))


def _defined(unit: Unit) -> str | None:
    words = unit.words[1:] if unit.words[0] == "async" else unit.words
    return words[1] if words[0] in ("def", "class") and len(words) > 1 else None


def _item(program: Program, unit: Unit) -> str:
    word = unit.words[0] if unit.words[0] != "async" else unit.words[1]
    if name := _defined(unit):
        around = program.units[unit.suite].words[0] if unit.suite != MODULE else ""
        kind = "class" if word == "class" else "method" if around == "class" else "function"
        return f"the {kind} `{name}`"
    line = program.lines[unit.head].strip()
    if word in ("import", "from"):
        whole = unit.end - unit.head == 1 and len(line) <= _SHOWN
        return f"`{line}`" if whole else f"the import from `{''.join(unit.words[1:2])}`"
    if word in _CLAUSES:
        return f"{'an' if word[0] == 'e' else 'a'} `{word}` clause"
    return _statement(program, unit, word, line)


def _statement(program: Program, unit: Unit, word: str, line: str) -> str:
    if (unit.end - unit.head == 1 and _STRING.match(line)) or line.startswith(('"""', "'''", 'r"""', "r'''")):
        siblings = program.units[unit.suite].children if unit.suite != MODULE else [0]
        return "the docstring" if siblings[0] == unit.number else "a string"
    if word in _KEYWORDS or (word in ("match", "case") and unit.children):
        return f"{'an' if word[0] in 'aeiou' else 'a'} `{word}` statement"
    if found := _TARGET.match(line) or _BARE_ANNOTATION.match(line):
        return f"the assignment of `{found[1]}`"
    if found := _CALL.match(line):
        return f"a call of `{found[1]}`"
    return "a statement"
