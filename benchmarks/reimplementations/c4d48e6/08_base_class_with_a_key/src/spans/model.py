"""Values that are compared by a key."""

import abc


class Value(abc.ABC):
    """Something that is its key."""

    @abc.abstractmethod
    def _key(self):
        """What it is compared by."""

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self):
        return hash((type(self).__qualname__, self._key()))

    def __repr__(self):
        return f"{type(self).__qualname__}<{self._key()}>"
