"""The context of the learning loop's flows, whose progress goes to the flow's listener."""

from flows.progress import progress_listener
from host.settings import load_settings
from training.cycle.context import TrainingContext, open_context


def open_training_context() -> TrainingContext:
    """The databases, the registry and the settings in force; progress goes to the listener of the current flow."""
    watch, known = progress_listener(), dict[str, tuple[int, int | None]]()

    def notify(what: str, done: int, total: int | None) -> None:
        before = known.get(what)
        known[what] = (done, total)
        if before is None or before[1] != total:  # new, or its size has become known
            watch.start(what, total, done)
        elif done > before[0]:
            watch.advance(what, f"{done} of {total}" if total else "", done - before[0])

    return open_context(load_settings(), notify)
