"""Writing durations, unit by unit."""

import io

DAY, HOUR, MINUTE = 24 * 60 * 60, 60 * 60, 60


def show(seconds):
    """Write a duration; raises ValueError for one that is negative."""
    if seconds < 0:
        raise ValueError(f"{seconds} seconds are fewer than none")
    if seconds == 0:
        return "0s"
    out = io.StringIO()
    sizes = [(DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (1, "s")]
    while sizes and seconds > 0:
        size, letter = sizes.pop(0)
        if seconds >= size:
            count = int(seconds / size)
            print(count, letter, sep="", end=" ", file=out)
            seconds -= count * size
    return out.getvalue().rstrip()
