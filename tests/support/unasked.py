"""A serving path without a server, for what concerns the table of active adapters alone."""

from training.adapters.registry import AdapterVersion
from training.cycle.rehearsal.served_answers import ServedAnswer


class Unasked:
    """Nothing can be asked."""

    def gap(self, version: AdapterVersion) -> str:
        return "there is no server; start one"

    def ask(self, sample: int) -> ServedAnswer:
        raise AssertionError("a path with a gap is not asked")

    def effect(self, version: AdapterVersion) -> float | None:
        raise AssertionError("a path with a gap is not asked")
