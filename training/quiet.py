"""Silences the training libraries; progress is reported by this project."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr


@contextmanager
def quiet_libraries(*, errors: bool = False) -> Iterator[None]:
    """Suppress progress bars, advice and deprecations; with `errors` all output on standard error."""
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
