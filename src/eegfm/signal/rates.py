"""Sampling rates as fractions, so that sample counts and times of long recordings are exact."""

import math
from fractions import Fraction


def exact_fraction(number: float) -> Fraction:
    """The simplest fraction that rounds to this number: 1000/3 for 333.3333333333333, 249853/250 for 999.412.

    Who states a rate means such a fraction, and not its binary approximation.

    Args:
        number: Above zero, and below the numbers of which not every whole one is a float.
    """
    value, half_step = Fraction(number), Fraction(math.ulp(number)) / 2
    return simplest_between(value - half_step, value + half_step)


def simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction in [low, high], both above zero, whose denominator is least (Stern and Brocot's tree)."""
    whole = low.numerator // low.denominator
    if whole == low:
        return Fraction(whole)
    if whole + 1 <= high:
        return Fraction(whole + 1)
    return whole + 1 / simplest_between(1 / (high - whole), 1 / (low - whole))
