"""A file's change split into pieces, one for each step of the derived plan."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from harness.packages.gold_patch import GoldFileChange
from harness.planners.hunks import FileHunks, Hunk
from models.plans import Action, Target
from repos.index.symbols import IMPORTS, MODULE, base_name, language_of, symbols
from repos.text import lines_of

WORD = re.compile(r"[A-Za-z_$][\w$]*")


@dataclass(frozen=True, eq=False)
class ChangePiece:
    """Some hunks of a file's change (by index), or all of it (`hunks` is None).

    `introduces` are the last parts of the names of symbols that are new, `mentions` the words of added lines.
    """

    change: GoldFileChange
    targets: tuple[Target, ...]
    hunks: frozenset[int] | None
    introduces: frozenset[str] = frozenset()
    mentions: frozenset[str] = frozenset()

    def uses(self, other: "ChangePiece") -> bool:
        """Whether it needs `other` first: the renaming of its file, or a symbol that it mentions."""
        if other.change is self.change and other.targets[0].action is Action.RENAME:
            return True
        return bool(self.mentions & (other.introduces - self.introduces))


def pieces(change: GoldFileChange) -> list[ChangePiece]:
    """One piece for each group of symbols that hunks change together, and one for a rename before them.

    A file that is created, deleted, made executable or not, or whose language has no symbols is one piece.
    """
    renames = [_rename(change)] if change.old_path else []
    if not changes_inside(change) or language_of(change.path) is None:
        unchanged = change.old_path and change.before == change.after
        return renames if unchanged else [*renames, whole(change)]
    assert change.before is not None and change.after is not None
    file = FileHunks(change.path, change.before.text, change.after.text)
    return [*renames, *(_piece(change, file, group) for group in _groups(file.hunks))]


def changes_inside(change: GoldFileChange) -> bool:
    """Whether the file exists before and after with the same mode, so that hunks describe the whole change."""
    before, after = change.before, change.after
    return before is not None and after is not None and before.executable == after.executable


def whole(change: GoldFileChange) -> ChangePiece:
    """The file as a whole, and the action on it."""
    action = Action.MODIFY
    if change.after is None:
        action = Action.DELETE
    elif change.before is None:
        action = Action.CREATE
    before, after = (content.text if content else "" for content in (change.before, change.after))
    new = symbol_names(after, change.path) - symbol_names(before, change.path)
    target = Target(path=change.path, action=action)
    return ChangePiece(change, (target,), None, _last_parts(new), frozenset(WORD.findall(after)))


def _rename(change: GoldFileChange) -> ChangePiece:
    assert change.old_path is not None
    target = Target(path=change.old_path, action=Action.RENAME, new_path=change.path)
    return ChangePiece(change, (target,), frozenset())


def _groups(hunks: tuple[Hunk, ...]) -> list[list[int]]:
    """Indices of hunks that share a symbol; imports go with the first group that has one."""
    groups: list[tuple[set[str], list[int]]] = []
    for index, hunk in enumerate(hunks):
        names, members = set(hunk.names), [index]
        for group in [group for group in groups if group[0] & names]:
            groups.remove(group)
            names, members = names | group[0], members + group[1]
        groups.append((names, sorted(members)))
    ordered = sorted(groups, key=lambda group: group[1])
    alone = [group for group in ordered if group[0] == {IMPORTS}]
    others = [group[1] for group in ordered if group not in alone]
    if not others:
        return [group[1] for group in alone]
    others[0] = sorted([*others[0], *(index for group in alone for index in group[1])])
    return others


def _piece(change: GoldFileChange, file: FileHunks, group: list[int]) -> ChangePiece:
    names = {name for index in group for name in file.hunks[index].names}
    names = names - {IMPORTS} or names
    old, new = symbol_names(file.before, change.path), symbol_names(file.after, change.path)
    targets = tuple(Target(path=change.path, symbol=name, action=_action(name, old, new)) for name in sorted(names))
    lines = lines_of(file.after)
    added = "".join(line for index in group for line in lines[file.hunks[index].a0 : file.hunks[index].a1])
    introduced = _last_parts(name for name in names if name in new and name not in old)
    return ChangePiece(change, targets, frozenset(group), introduced, frozenset(WORD.findall(added)))


def _action(name: str, old: set[str], new: set[str]) -> Action:
    if name in (MODULE, IMPORTS) or (name in old and name in new):
        return Action.MODIFY
    return Action.CREATE if name in new else Action.DELETE


def symbol_names(text: str, path: str) -> set[str]:
    """Qualified names of a file's symbols, without the numbers of repeated definitions."""
    return {base_name(symbol.name) for symbol in symbols(text, path)}


def _last_parts(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.rpartition(".")[2] for name in names)
