"""The base that each role uses, and which bases it has left behind."""

from typing import TYPE_CHECKING

from models.errors import RegistryError
from models.training import Role, TrainingTarget
from store.database import reading
from store.learning.base_decisions import CHANGES, base_in_use, base_log
from training.bases.bases import PARENT, Base, find_base, list_bases

if TYPE_CHECKING:
    from store.database import Engine


def in_use(curated: "Engine", role: Role) -> Base | None:
    """The base that a role uses; None if none was promoted or adopted, so that any may be used."""
    with reading(curated) as connection:
        base = base_in_use(connection, role)
    return None if base is None else next(each for each in list_bases(curated) if each.id == base)


def named_base(curated: "Engine", name: str) -> Base:
    """The base with that name or id prefix; the name of a role stands for the base that it uses.

    Raises RegistryError as `find_base` does.
    """
    role: Role | None = "reasoning" if name == "reasoning" else "coding" if name == "coding" else None
    used = None if role is None else in_use(curated, role)
    if role is not None and used is None and all(base.name != name for base in list_bases(curated)):
        raise RegistryError(f"{role} uses no base yet; `cra bases adopt NAME --role {role} --reason TEXT` says which")
    return find_base(curated, name if used is None else used.id)


def superseding(curated: "Engine", own: Base, role: Role) -> str:
    """The base in use of a role, if it came after this one: the role used this one before, or the one in use was tuned
    from it. Empty if it did not."""
    current = in_use(curated, role)
    if current is None or current.id == own.id:
        return ""
    left = {base for row in base_log(curated, role) if row.action in CHANGES for base in (row.before, row.serving)}
    return current.name if own.id in left | _ancestors(curated, current) else ""


def require_current(curated: "Engine", base: Base, target: TrainingTarget) -> None:
    """Raise RegistryError if a base is superseded for a target: an adapter trained on it could not be promoted."""
    if newer := superseding(curated, base, target.role):
        raise RegistryError(f"base {base.name} is superseded by {newer}; train on that")


def _ancestors(curated: "Engine", base: Base) -> set[str]:
    known = {each.id: each for each in list_bases(curated)}
    found: set[str] = set()
    parent = base.facts.get(PARENT)
    while parent in known and parent not in found:
        found.add(parent)
        parent = known[parent].facts.get(PARENT)
    return found
