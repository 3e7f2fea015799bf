"""What each signal is worth."""

WEIGHTS: dict[str, float] = {
    "code/most": 3.0,
    "path/most": 1.5,
    "symbols/most": 1.0,
    "alike/most": 2.0,
    "changes-100/most": 1.0,
    "mentioned": 1.0,
    "defines": 1.0,
    "aside": -2.0,
}
