"""Reading durations such as `1h 30m`."""

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def _while(text, position, wanted):
    """The end of the run of characters that are wanted."""
    while position < len(text) and wanted(text[position]):
        position += 1
    return position


def _is_digit(character):
    return "0" <= character <= "9"


def parse(text):
    """Seconds in a duration such as `1h 30m`; raises ValueError for nonsense, KeyError for unknown units."""
    amounts = []
    position = 0
    while position < len(text):
        start = _while(text, position, str.isspace)
        end = _while(text, start, _is_digit)
        if end == start:
            raise ValueError(f"not a duration: {text!r}, no number at {start}")
        if text[end : end + 1] == ".":
            fraction = _while(text, end + 1, _is_digit)
            if fraction > end + 1:
                end = fraction
        unit = _while(text, end, str.isspace)
        stop = _while(text, unit, lambda character: "a" <= character <= "z")
        if stop == unit:
            raise ValueError(f"not a duration: {text!r}, no unit at {unit}")
        amounts.append(float(text[start:end]) * SECONDS[text[unit:stop]])
        position = _while(text, stop, str.isspace)
    total = sum(amounts)
    return int(total) if float(total).is_integer() else total
