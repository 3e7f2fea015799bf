"""The units that durations are made of, largest first."""

from collections import OrderedDict
from datetime import timedelta

_NAMES = ("weeks", "days", "hours", "minutes", "seconds")

SECONDS = OrderedDict((name[0], int(timedelta(**{name: 1}).total_seconds())) for name in _NAMES)
