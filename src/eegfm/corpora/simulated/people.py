"""Simulated persons: age, sex, class and factors, and the physiology that follows from them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eegfm.corpora.simulated.config import Effects, SimulatedHbn, SimulatedTuh

Sex = Literal["M", "F"]

FACTORS: Mapping[str, tuple[float, float]] = {
    "p_factor": (0.04, 0.90),
    "attention": (0.0, 0.81),
    "internalizing": (0.0, 0.80),
    "externalizing": (0.04, 0.73),
}
"""Mean and standard deviation of each factor's score, close to those of HBN; the scores are independent."""

TUH_AGES_YEARS = np.arange(20, 85)
"""Ages of the clinical corpus: whole years, each as likely as the others."""

HBN_AGE_RANGE_YEARS = (5.0, 22.0)
HBN_AGE_BETA = (1.34, 3.0)
"""Range and shape of a beta distribution with HBN's mean (10.3 years) and spread (3.4 years)."""

ADULT_ALPHA_HZ = 10.4
ALPHA_MATURATION_YEARS = 5.0
RT_MEAN_S = 1.6
RT_PERSON_SD_S = 0.19
RT_TRIAL_SD_S = 0.35
RT_RANGE_S = (0.2, 2.35)
"""Response times: HBN's mean, spread and share of the variance between persons (22 %)."""


@dataclass(frozen=True)
class Person:
    """One simulated person.

    Attributes:
        number: Number among the persons of the corpus, from 0.
        factors: Standard scores by factor.
        alpha_peak_hz: Frequency of the posterior alpha rhythm.
        log_alpha, log_slow, log_beta, log_theta: Logarithms of amplitude ratios to the average person.
        log_asymmetry: Logarithm of the right-to-left ratio of alpha amplitudes.
        exponent: Exponent of the 1/f background (of power).
        background_ratio, movie_ratio, press_ratio: Amplitude ratios that no label explains.
        rt_mean_s: Mean response time.
        seed: Seed of other personal traits, such as shifts of the sources.
    """

    number: int
    age_years: float
    sex: Sex
    is_abnormal: bool
    factors: Mapping[str, float]
    alpha_peak_hz: float
    log_alpha: float
    log_slow: float
    log_beta: float
    log_theta: float
    log_asymmetry: float
    exponent: float
    background_ratio: float
    movie_ratio: float
    press_ratio: float
    rt_mean_s: float
    seed: tuple[int, ...]

    def score(self, factor: str) -> float:
        """Return the factor's score as written in ``participants.tsv``."""
        mean, sd = FACTORS[factor]
        return round(mean + sd * self.factors[factor], 3)


def evenly(number: int, ratio: float, step: int, phase: float = 0.0) -> bool:
    """Say whether item ``number`` belongs to a share that is spread evenly, whatever the number of items.

    Multiples of an irrational number fill the unit interval evenly (Weyl); square roots of different primes as steps
    give flags that do not follow each other.

    Args:
        number: Number of the item, from 0.
        ratio: Target share.
        step: Prime under the square root.
        phase: Start of the sequence.
    """
    return (number * math.sqrt(step) + phase) % 1.0 < ratio


def in_share(number: int, ratio: float) -> bool:
    """Say whether item ``number`` belongs to a share such that the first n items always hold floor(n x ratio)."""
    # The small constant keeps 0.1 x 10 at 1 despite binary fractions.
    return math.floor((number + 1) * ratio + 1e-9) > math.floor(number * ratio + 1e-9)


def alpha_peak_mean_hz(age_years: ArrayLike, is_abnormal: bool, effects: Effects) -> NDArray[np.float64]:
    """Mean alpha peak of an age: it rises steeply in childhood and falls slowly after 20."""
    age = np.asarray(age_years, dtype=np.float64)
    child = -effects.age_child_hz * np.exp(-(age - 5) / ALPHA_MATURATION_YEARS)
    adult = effects.age_adult_hz_per_year * np.maximum(age - 20, 0)
    return np.asarray(ADULT_ALPHA_HZ + child + adult + effects.abnormal_alpha_hz * is_abnormal)


def tuh_person(config: SimulatedTuh, number: int) -> Person:
    """Draw person ``number`` of the clinical corpus."""
    seed = (config.seed, 1, number)
    rng = np.random.default_rng([*seed, 0])
    age = float(rng.choice(TUH_AGES_YEARS))
    sex: Sex = "F" if evenly(number, 0.5, 3) else "M"
    return _person(rng, number, age, sex, in_share(number, config.abnormal_ratio), config.effects, seed)


def hbn_person(config: SimulatedHbn, number: int) -> Person:
    """Draw person ``number`` of the children's corpus; none is abnormal."""
    seed = (config.seed, 2, number)
    rng = np.random.default_rng([*seed, 0])
    low, high = HBN_AGE_RANGE_YEARS
    age = round(low + (high - low) * float(rng.beta(*HBN_AGE_BETA)), 3)
    sex: Sex = "M" if evenly(number, config.male_ratio, 3) else "F"
    return _person(rng, number, age, sex, False, config.effects, seed)


def _person(
    rng: np.random.Generator,
    number: int,
    age: float,
    sex: Sex,
    is_abnormal: bool,
    effects: Effects,
    seed: tuple[int, ...],
) -> Person:
    z = dict(zip(FACTORS, rng.standard_normal(len(FACTORS)).tolist(), strict=True))
    own = rng.standard_normal(10).tolist()
    return Person(
        number=number,
        age_years=age,
        sex=sex,
        is_abnormal=is_abnormal,
        factors=z,
        alpha_peak_hz=float(alpha_peak_mean_hz(age, is_abnormal, effects)) + effects.alpha_peak_person_sd_hz * own[0],
        log_alpha=effects.p_factor_log_alpha * z["p_factor"] + effects.alpha_person_log_sd * own[1],
        log_slow=effects.abnormal_log_slow * is_abnormal + effects.slow_person_log_sd * own[2],
        log_beta=effects.sex_log_beta * ((sex == "F") - 0.5) + effects.beta_person_log_sd * own[3],
        log_theta=effects.attention_log_theta * z["attention"] + effects.theta_person_log_sd * own[4],
        log_asymmetry=effects.internalizing_log_asymmetry * z["internalizing"]
        + effects.asymmetry_person_log_sd * own[5],
        exponent=1.4 + effects.externalizing_exponent * z["externalizing"] + effects.exponent_person_sd * own[6],
        background_ratio=math.exp(0.15 * own[7]),
        movie_ratio=math.exp(0.25 * own[8]),
        press_ratio=math.exp(0.25 * own[9]),
        rt_mean_s=RT_MEAN_S + RT_PERSON_SD_S * float(rng.standard_normal()),
        seed=seed,
    )
