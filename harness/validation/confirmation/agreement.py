"""Agreement of a candidate's twins with those of the gold patch, independent of how values are implemented.

Both sides are what the observer in the process of the tests wrote. A value agrees with gold's if an equality test could
not tell them apart, as far as that can be known without asking their classes, which are the candidate's own:

- numbers by value, to nine digits; a class derived from a built-in type agrees as that type;
- an object with any object: what the test asks of it is observed separately, and its class may be another;
- where gold's object declares fields, each is compared by name, else searched among everything that the other holds.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

_RELATIVE = 1e-9
_EQUAL = "equal"

ObservedValue = Any
"""A value as recorded by the observer: null, a number, or a list that begins with its kind."""


def agree(gold: Sequence[str], seen: Sequence[str]) -> bool:
    """Whether the runs of a twin agree with those on the gold patch; both in order, as recorded by the observer."""
    return len(gold) == len(seen) and all(_runs_agree(one, other) for one, other in zip(gold, seen, strict=True))


def _runs_agree(gold: str, seen: str) -> bool:
    if gold == seen:
        return True
    (ended, expected), (ends, saw) = json.loads(gold), json.loads(seen)
    if ended != ends or len(expected) != len(saw):
        return False
    return all(observations_agree(one, other) for one, other in zip(expected, saw, strict=True))


def observations_agree(gold: Sequence[ObservedValue], seen: Sequence[ObservedValue]) -> bool:
    """Whether the observations of one assertion agree."""
    if gold[0] != _EQUAL or seen[0] != _EQUAL:
        return gold == seen
    return gold[:3] == seen[:3] and all(map(values_agree, gold[3:], seen[3:]))


def first_difference(
    gold: Sequence[ObservedValue], seen: Sequence[ObservedValue]
) -> tuple[ObservedValue, ObservedValue]:
    """The first difference, for people: preferably in a side of an equality, not in its result."""
    if gold[0] == seen[0] == _EQUAL:
        for one, other in zip(gold[3:], seen[3:], strict=True):
            if not values_agree(one, other):
                return one, other
    return gold[2] if len(gold) > 2 else gold, seen[2] if len(seen) > 2 else seen


def holds_fields(text: str) -> bool:
    """Whether a run of a twin recorded an object with more than its existence."""

    def inside(value: ObservedValue) -> bool:
        if not isinstance(value, list):
            return False
        return (value[:1] == ["is"] and value[1:3] != [None, None]) or any(map(inside, value))

    return inside(json.loads(text))


def values_agree(gold: ObservedValue, seen: ObservedValue) -> bool:
    """Whether a value agrees with gold's."""
    if gold == seen or gold == ["..."]:
        return True
    if _is(gold, "is"):
        return _instances_agree(gold, seen)
    if _is(seen, "is"):
        return seen[1] is not None and values_agree(gold, seen[1])
    if (one := _as_number(gold)) is not None and (other := _as_number(seen)) is not None:
        return math.isclose(one, other, rel_tol=_RELATIVE)
    if not isinstance(gold, list) or not isinstance(seen, list) or gold[:1] != seen[:1] or len(gold) != len(seen):
        return False
    if gold[0] in ("tuple", "list"):
        return len(gold[1]) == len(seen[1]) and all(map(values_agree, gold[1], seen[1]))
    if gold[0] in ("set", "dict"):
        return len(gold[1]) == len(seen[1]) and _all_found(gold[1], seen[1], pairs=gold[0] == "dict")
    return False


def _is(value: ObservedValue, kind: str) -> bool:
    return isinstance(value, list) and value[:1] == [kind]


def _as_number(value: ObservedValue) -> float | None:
    if isinstance(value, int):
        return float(value)
    return float(value[1]) if _is(value, "float") else None


def _all_found(gold: list[ObservedValue], seen: list[ObservedValue], *, pairs: bool = False) -> bool:
    """Whether each of gold's members matches a different one of the others (as a set or mapping)."""
    left = list(seen)
    for one in gold:
        found = next((at for at, other in enumerate(left) if _member_agrees(one, other, pairs)), None)
        if found is None:
            return False
        del left[found]
    return True


def _member_agrees(gold: ObservedValue, seen: ObservedValue, pair: bool) -> bool:
    return all(map(values_agree, gold, seen)) if pair else values_agree(gold, seen)


def _instances_agree(gold: list[ObservedValue], seen: ObservedValue) -> bool:
    """Agreement with gold's object, which is `plain` if its class derives from a built-in type."""
    _, plain, fields = gold[:3]
    if not _is(seen, "is"):
        return plain is not None and values_agree(plain, seen)
    if fields:
        return _fields_agree(fields, seen)
    if plain is None:
        return True
    return (
        values_agree(plain, seen[1]) if seen[1] is not None else _all_found([plain], [each for _, each in _held(seen)])
    )


def _fields_agree(fields: list[tuple[str, ObservedValue]], seen: list[ObservedValue]) -> bool:
    """Each of gold's fields by its own name, else anywhere in what the other holds."""
    held = _held(seen)
    named = dict(reversed(held))
    absent = [each for name, each in fields if name not in named]
    others = [each for name, each in held if name not in dict(fields)]
    return all(values_agree(each, named[name]) for name, each in fields if name in named) and _all_found(absent, others)


def _held(seen: list[ObservedValue]) -> list[tuple[str, ObservedValue]]:
    """An object's declared fields, its other state, and its members if it is a tuple."""
    members = seen[1][1] if _is(seen[1], "tuple") else []
    states = seen[3] if len(seen) > 3 else []
    return [(name, each) for name, each in [*(seen[2] or []), *states, *(("", each) for each in members)]]
