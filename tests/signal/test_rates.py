from fractions import Fraction

import pytest

from eegfm.signal.rates import exact_fraction, simplest_between


@pytest.mark.parametrize(
    ("low", "high", "simplest"),
    [("39/100", "41/100", "2/5"), ("1/3", "1/2", "1/2"), ("314/100", "315/100", "22/7"), ("2", "3", "2")],
)
def test_the_simplest_fraction_between_two_others(low, high, simplest):
    assert simplest_between(Fraction(low), Fraction(high)) == Fraction(simplest)


@pytest.mark.parametrize(
    ("number", "fraction"),
    [
        (250.0, "250"), (128.02, "6401/50"), (999.412, "249853/250"), (1000 / 3, "1000/3"), (100 / 1.1, "1000/11"),
        (256 * (1 + 1e-12), None), (0.1, "1/10"), (2.0**-30, "1/1073741824"), (1e5, "100000"),
    ],
)  # fmt: skip
def test_the_simplest_fraction_that_a_number_stands_for(number, fraction):
    found = exact_fraction(number)
    assert float(found) == number
    assert fraction is None or found == Fraction(fraction)
