"""The libraries of training keep quiet: what a user should know is reported by us."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr


@contextmanager
def quiet_libraries(*, errors: bool = False) -> Iterator[None]:
    """No progress bars, advice and deprecations meanwhile; with `errors` not a word on standard error at all."""
    from transformers.utils import logging as library

    level, bars = library.get_verbosity(), library.is_progress_bar_enabled()
    library.set_verbosity(logging.ERROR)
    library.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", UserWarning)
            if errors:
                with redirect_stderr(io.StringIO()):
                    yield
            else:
                yield
    finally:
        library.set_verbosity(level)
        if bars:
            library.enable_progress_bar()
