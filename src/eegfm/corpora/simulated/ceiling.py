"""The best score that each target of a simulated corpus allows.

The bound holds for a predictor that sees the noise-free physiology (the alpha peak, the amplitudes, the time of the
button-press potential) and knows the distributions of the simulator. The predictor does not see the label itself.
Differences between persons that no label explains keep it from certainty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm

from eegfm.corpora.simulated.config import Effects, SimulatedConfig, SimulatedHbn, SimulatedTuh
from eegfm.corpora.simulated.people import (
    FACTORS,
    HBN_AGE_BETA,
    HBN_AGE_RANGE_YEARS,
    RT_MEAN_S,
    RT_PERSON_SD_S,
    RT_RANGE_S,
    RT_TRIAL_SD_S,
    TUH_AGES_YEARS,
    alpha_peak_mean_hz,
)
from eegfm.corpora.simulated.physiology import BLINKS_PER_S

Array = NDArray[np.float64]

N_DRAWS = 20_000
EYES_WINDOW_S = 2.0
"""Length of the windows with open or closed eyes, as in HBN's eyes-open/closed task."""


class Ceiling(TypedDict):
    """Best reachable score of one target.

    Attributes:
        metric: ``balanced_accuracy``, ``r2``, ``nrmse`` (root mean squared error over standard deviation) or
            ``correlation``.
        value: The score, expected over many persons.
        how: Inputs of the predictor, and the computation of the value.
        others: The same bound in other metrics.
    """

    metric: str
    value: float
    how: str
    others: dict[str, float]


@dataclass(frozen=True)
class _Feature:
    """A Gaussian observation of a hidden state: its mean per state, and its spread."""

    mean: Array
    sd: float


def best_reachable(config: SimulatedConfig) -> dict[str, Ceiling]:
    """Compute the best reachable score per target.

    Args:
        config: The corpus. Only its effects, tasks and labels matter.

    Returns:
        Scores by target: ``pathology``, ``age_years``, ``sex``, ``eyes``, the four factors, ``response_time``,
        ``movie``. Targets that the corpus lacks are left out.
    """
    return _tuh(config) if isinstance(config, SimulatedTuh) else _hbn(config)


def _tuh(config: SimulatedTuh) -> dict[str, Ceiling]:
    effects = config.effects
    ages = np.tile(TUH_AGES_YEARS.astype(np.float64), 2)
    abnormal = np.repeat([False, True], len(TUH_AGES_YEARS))
    peak = np.where(abnormal, alpha_peak_mean_hz(ages, True, effects), alpha_peak_mean_hz(ages, False, effects))
    features = [
        _Feature(peak, effects.alpha_peak_person_sd_hz),
        _Feature(effects.abnormal_log_slow * abnormal, effects.slow_person_log_sd),
    ]
    seen = "Bayes on alpha peak and log slow-wave amplitude of the person"
    weights = np.where(abnormal, config.abnormal_ratio, 1 - config.abnormal_ratio)
    out = {
        "age_years": _regression(ages, weights, features, f"{seen}; Monte Carlo over age and class"),
        "sex": _sex(effects),
    }
    if 0 < config.abnormal_ratio < 1:
        value = _two_classes(abnormal, features)
        out["pathology"] = _ceiling("balanced_accuracy", value, f"{seen}; Monte Carlo over age")
    return out


def _hbn(config: SimulatedHbn) -> dict[str, Ceiling]:
    effects = config.effects
    low, high = HBN_AGE_RANGE_YEARS
    ages = low + (high - low) * (np.arange(400) + 0.5) / 400
    peak = _Feature(alpha_peak_mean_hz(ages, False, effects), effects.alpha_peak_person_sd_hz)
    density = beta(*HBN_AGE_BETA).pdf((ages - low) / (high - low))
    out = {"age_years": _regression(ages, density, [peak], "Bayes on the person's alpha peak; Monte Carlo over age")}
    if 0 < config.male_ratio < 1:
        out["sex"] = _sex(effects)
    if config.missing_ratio < 1:
        out |= _factors(effects)
    if config.resting_s:
        out["eyes"] = _eyes(effects)
    if config.n_ccd_runs:
        out["response_time"] = _response_time(effects)
    if config.movies:
        how = "shared share of the response's variance: correlation of two persons' noise-free responses"
        out["movie"] = _ceiling("correlation", effects.movie_shared_ratio, how)
    return out


def _ceiling(metric: str, value: float, how: str, **others: float) -> Ceiling:
    return Ceiling(metric=metric, value=float(value), how=how, others={k: float(v) for k, v in others.items()})


def _sex(effects: Effects) -> Ceiling:
    """Two Gaussians of equal spread, cut in the middle."""
    value = norm.cdf(effects.sex_log_beta / effects.beta_person_log_sd / 2)
    return _ceiling("balanced_accuracy", float(value), "Bayes on the person's log beta amplitude; closed form")


def _factors(effects: Effects) -> dict[str, Ceiling]:
    """A Gaussian feature of a Gaussian score: the explained share of the feature's variance."""
    sizes = {
        "p_factor": (effects.p_factor_log_alpha, effects.alpha_person_log_sd, "log alpha amplitude"),
        "attention": (effects.attention_log_theta, effects.theta_person_log_sd, "log frontal theta amplitude"),
        "internalizing": (
            effects.internalizing_log_asymmetry,
            effects.asymmetry_person_log_sd,
            "log right-to-left ratio of alpha",
        ),
        "externalizing": (effects.externalizing_exponent, effects.exponent_person_sd, "exponent of the background"),
    }
    assert set(sizes) == set(FACTORS), "one effect per factor"
    out = {}
    for factor, (effect, sd, feature) in sizes.items():
        r2 = effect**2 / (effect**2 + sd**2)
        how = f"linear regression on the person's {feature}; closed form"
        out[factor] = _ceiling("r2", r2, how, nrmse=(1 - r2) ** 0.5, pearson=r2**0.5)
    return out


def _eyes(effects: Effects) -> Ceiling:
    person_sd = np.hypot(effects.p_factor_log_alpha, effects.alpha_person_log_sd)
    value = _eyes_accuracy(effects.eyes_log_alpha, float(np.hypot(person_sd, effects.alpha_drift_log_sd)))
    known = _eyes_accuracy(effects.eyes_log_alpha, effects.alpha_drift_log_sd)
    how = (
        f"Bayes on log alpha amplitude and blinks of a {EYES_WINDOW_S:g}-s window of an unknown person; closed form; "
        "person_known: the person's own alpha level is known too"
    )
    return _ceiling("balanced_accuracy", value, how, person_known=known)


def _eyes_accuracy(fall: float, sd: float) -> float:
    """Best cut for ``log alpha ~ N(0, sd)`` closed, ``N(-fall, sd)`` open; a blink says open for certain."""
    log_no_blink = -BLINKS_PER_S * EYES_WINDOW_S
    cut = sd**2 * log_no_blink / fall - fall / 2 if fall > 0 else -np.inf
    closed_right = norm.sf(cut / sd)
    open_wrong = np.exp(log_no_blink) * norm.sf((cut + fall) / sd)
    return float(closed_right + 1 - open_wrong) / 2


def _response_time(effects: Effects) -> Ceiling:
    """Response times are Gaussian, cut off at the ends of the allowed range."""
    times = np.linspace(*RT_RANGE_S, 400)
    edges = np.concatenate([[-np.inf], (times[1:] + times[:-1]) / 2, [np.inf]])
    weights = np.diff(norm.cdf(edges, RT_MEAN_S, np.hypot(RT_PERSON_SD_S, RT_TRIAL_SD_S)))
    how = "Bayes on the time of the button-press potential; Monte Carlo over trials"
    found = _regression(times, weights, [_Feature(times, effects.press_jitter_s)], how)
    nrmse = found["others"]["nrmse"]
    return _ceiling("nrmse", nrmse, how, r2=found["value"], pearson=found["others"]["pearson"])


def _regression(target: Array, weights: Array, features: Sequence[_Feature], how: str) -> Ceiling:
    """Score the posterior mean of a target over a grid of hidden states."""
    rng = np.random.default_rng(0)
    probability = weights / weights.sum()
    state = rng.choice(len(target), N_DRAWS, p=probability)
    posterior = _posterior(probability, features, _observe(state, features, rng))
    truth = target[state]
    r2 = max(0.0, 1 - float(np.mean((truth - posterior @ target) ** 2) / np.var(truth)))
    return _ceiling("r2", r2, how, nrmse=(1 - r2) ** 0.5, pearson=r2**0.5)


def _two_classes(positive: NDArray[np.bool_], features: Sequence[_Feature]) -> float:
    """Balanced accuracy of the more probable of two classes over a grid of hidden states, classes equally likely."""
    rng = np.random.default_rng(0)
    probability = np.where(positive, 0.5 / positive.sum(), 0.5 / (~positive).sum())
    state = rng.choice(len(positive), N_DRAWS, p=probability)
    decision = _posterior(probability, features, _observe(state, features, rng)) @ positive > 0.5
    truth = positive[state]
    return float(np.mean(decision[truth]) + np.mean(~decision[~truth])) / 2


def _observe(state: NDArray[np.int64], features: Sequence[_Feature], rng: np.random.Generator) -> list[Array]:
    return [feature.mean[state] + feature.sd * rng.standard_normal(len(state)) for feature in features]


def _posterior(probability: Array, features: Sequence[_Feature], observed: Sequence[Array]) -> Array:
    """Weights of the hidden states (N, G) after Gaussian observations."""
    with np.errstate(divide="ignore"):
        log_weight = np.log(probability)[None, :]
    for feature, values in zip(features, observed, strict=True):
        log_weight = log_weight - 0.5 * ((values[:, None] - feature.mean) / feature.sd) ** 2
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
