"""Significance levels for looks that are repeated: alpha-spending (Lan and DeMets, 1983) with a horizon.

Half of alpha goes to early looks, as j^-1.5, half evenly to all looks of the horizon: a loss is seen early, and late as
well. The levels of the horizon's looks add up to alpha at most, so that by the union bound the chance of any false
alarm among them is at most alpha, however they depend on each other. Each further horizon spends half as much.
"""

from typing import Final

_EXPONENT: Final = 1.5
_ZETA: Final = 2.6123753486854883
"""Riemann's zeta function at the exponent: the sum of j^-1.5 over all j."""


def level(look: int, alpha: float, horizon: int) -> float:
    """The level of a look, counted from 1, where the looks of a horizon together may have a false alarm with
    probability `alpha`."""
    if look < 1:
        raise ValueError(f"looks are counted from 1, not {look}")
    return float(alpha / 2 * (1 / (_ZETA * look**_EXPONENT) + 1 / horizon))
