"""One training per target at a time."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from host.locks import process_lock
from models.errors import TrainingError


@contextmanager
def target_lock(folder: Path, target: str) -> Iterator[None]:
    """Hold the lock of a target, a file in `folder`: one training per target at a time.

    Raises TrainingError naming the process that holds it.
    """

    def refuse(holder: str) -> None:
        raise TrainingError(f"{target} is already being trained by process {holder}; wait for it or stop it") from None

    with ExitStack() as stack:
        try:
            stack.enter_context(process_lock(folder / f".{target}.lock", refuse))
        except OSError as error:
            raise TrainingError(f"{folder}: {error.strerror}; make it writable") from error
        yield
