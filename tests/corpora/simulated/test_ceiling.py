import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import balanced_accuracy_score, r2_score

from eegfm.corpora.simulated.ceiling import EYES_WINDOW_S, Ceiling, best_reachable
from eegfm.corpora.simulated.config import Effects, SimulatedHbn, SimulatedTuh
from eegfm.corpora.simulated.people import FACTORS, hbn_person, tuh_person
from eegfm.corpora.simulated.physiology import BLINKS_PER_S
from eegfm.corpora.simulated.tasks import contrast_change

RANGES = {"balanced_accuracy": (0.5, 1), "r2": (0, 1), "nrmse": (0, 1), "correlation": (0, 1)}


def _hbn(**effects: float) -> SimulatedHbn:
    return SimulatedHbn(effects=Effects.model_validate(effects))


def _tuh(**effects: float) -> SimulatedTuh:
    return SimulatedTuh(effects=Effects.model_validate(effects))


@pytest.mark.parametrize("config", [SimulatedTuh(), SimulatedHbn()])
def test_values_are_in_range_and_between_chance_and_perfect(config: SimulatedTuh | SimulatedHbn) -> None:
    found = best_reachable(config)
    expected = {"age_years", "sex"}
    expected |= {"pathology"} if isinstance(config, SimulatedTuh) else {"eyes", "response_time", "movie", *FACTORS}
    assert set(found) == expected
    for target, ceiling in found.items():
        low, high = RANGES[ceiling["metric"]]
        assert low < ceiling["value"] < high, target
        assert ceiling["how"]
    assert found == best_reachable(config)


def test_targets_that_the_corpus_lacks_are_left_out() -> None:
    config = SimulatedHbn(resting_s=0, n_ccd_runs=0, missing_ratio=1, male_ratio=1)
    assert set(best_reachable(config)) == {"age_years", "movie"}
    assert "pathology" not in best_reachable(SimulatedTuh(abnormal_ratio=0))


NO_EFFECT = {
    "eyes_log_alpha": 0.0,
    "sex_log_beta": 0.0,
    "p_factor_log_alpha": 0.0,
    "attention_log_theta": 0.0,
    "internalizing_log_asymmetry": 0.0,
    "externalizing_exponent": 0.0,
    "age_child_hz": 0.0,
    "movie_shared_ratio": 0.0,
    "press_jitter_s": 0.8,
}


@pytest.fixture(scope="module")
def without_and_by_default() -> list[dict[str, Ceiling]]:
    return [best_reachable(_hbn(**NO_EFFECT)), best_reachable(SimulatedHbn())]


@pytest.mark.parametrize(
    ("target", "effect", "larger"),
    [
        ("eyes", "eyes_log_alpha", 2.0),
        ("sex", "sex_log_beta", 1.0),
        ("p_factor", "p_factor_log_alpha", -0.5),
        ("attention", "attention_log_theta", 0.5),
        ("internalizing", "internalizing_log_asymmetry", 0.5),
        ("externalizing", "externalizing_exponent", -0.3),
        ("age_years", "age_child_hz", 4.0),
        ("movie", "movie_shared_ratio", 0.9),
        ("response_time", "press_jitter_s", 0.02),
    ],
)
def test_a_larger_effect_allows_more(
    without_and_by_default: list[dict[str, Ceiling]], target: str, effect: str, larger: float
) -> None:
    """No effect of any sort, all by default, and this one alone larger than that."""
    ceilings = [found[target] for found in (*without_and_by_default, best_reachable(_hbn(**{effect: larger})))]
    sign = -1 if ceilings[0]["metric"] == "nrmse" else 1
    assert (np.diff([sign * c["value"] for c in ceilings]) > 0.01).all()


@pytest.mark.parametrize("effect", ["abnormal_log_slow", "abnormal_alpha_hz"])
def test_a_larger_slowing_is_easier_to_see(effect: str) -> None:
    sign = -1 if effect == "abnormal_alpha_hz" else 1
    values = [best_reachable(_tuh(**{effect: sign * size}))["pathology"]["value"] for size in (0.0, 0.5, 1.5)]
    assert (np.diff(values) > 0.01).all()


def test_without_effects_only_chance_is_left() -> None:
    none = _tuh(abnormal_log_slow=0, abnormal_alpha_hz=0, age_child_hz=0, age_adult_hz_per_year=0, sex_log_beta=0)
    found = best_reachable(none)
    assert found["pathology"]["value"] == pytest.approx(0.5, abs=0.01)
    assert found["age_years"]["value"] == pytest.approx(0, abs=0.01)
    assert found["sex"]["value"] == 0.5


def test_learned_predictors_on_drawn_persons_come_close_to_the_clinical_bounds() -> None:
    config = SimulatedTuh()
    people = [tuh_person(config, k) for k in range(3000)]
    features = np.array([[p.alpha_peak_hz, p.log_slow] for p in people])
    abnormal = np.array([p.is_abnormal for p in people])
    train, test = slice(0, 1500), slice(1500, None)
    model = LinearDiscriminantAnalysis().fit(features[train], abnormal[train])
    accuracy = balanced_accuracy_score(abnormal[test], model.predict(features[test]))
    found = best_reachable(config)
    assert accuracy == pytest.approx(found["pathology"]["value"], abs=0.03)
    ages = np.array([p.age_years for p in people])
    learner = HistGradientBoostingRegressor(max_iter=60, learning_rate=0.05, max_leaf_nodes=8)
    r2 = r2_score(ages[test], learner.fit(features[train], ages[train]).predict(features[test]))
    assert found["age_years"]["value"] - 0.1 < r2 < found["age_years"]["value"] + 0.03


def test_learned_predictors_on_drawn_children_come_close_to_the_bounds() -> None:
    config = SimulatedHbn()
    people = [hbn_person(config, k) for k in range(3000)]
    features = np.array([[p.log_alpha, p.log_theta, p.log_asymmetry, p.exponent] for p in people])
    found = best_reachable(config)
    train, test = slice(0, 1500), slice(1500, None)
    for factor in FACTORS:
        scores = np.array([p.score(factor) for p in people])
        model = LinearRegression().fit(features[train], scores[train])
        assert r2_score(scores[test], model.predict(features[test])) == pytest.approx(found[factor]["value"], abs=0.05)
    beta = np.array([p.log_beta for p in people])
    women = np.array([p.sex == "F" for p in people])
    assert balanced_accuracy_score(women, beta > 0) == pytest.approx(found["sex"]["value"], abs=0.03)


def test_eyes_bound_is_that_of_the_best_cut_found_by_search() -> None:
    effects, rng, n = Effects(), np.random.default_rng(0), 200_000
    sd = np.sqrt(effects.p_factor_log_alpha**2 + effects.alpha_person_log_sd**2 + effects.alpha_drift_log_sd**2)
    closed = sd * rng.standard_normal(n)
    opened = sd * rng.standard_normal(n) - effects.eyes_log_alpha
    blink = rng.poisson(BLINKS_PER_S * EYES_WINDOW_S, n) > 0
    cuts = np.linspace(-3, 1, 200)
    best = max((np.mean(closed > cut) + np.mean(blink | (opened <= cut))) / 2 for cut in cuts)
    assert best_reachable(SimulatedHbn())["eyes"]["value"] == pytest.approx(best, abs=0.003)


def test_response_time_bound_is_reached_on_drawn_trials() -> None:
    config = SimulatedHbn()
    times, seen = [], []
    for number in range(250):
        person = hbn_person(config, number)
        timeline = contrast_change(person, config.effects, 1, 190, np.random.default_rng(number))
        target_s = 0.0
        pressed = iter(timeline.presses)
        for event in timeline.events:
            if event.value.endswith("_target"):
                target_s = event.onset_s
            elif event.value.endswith("buttonPress"):
                potential_s, _ = next(pressed)
                if event.feedback != "non_target":
                    times.append(event.onset_s - target_s)
                    seen.append(potential_s - target_s)
    model = LinearRegression().fit(np.reshape(seen, (-1, 1)), times)
    nrmse = np.std(times - model.predict(np.reshape(seen, (-1, 1)))) / np.std(times)
    assert nrmse == pytest.approx(best_reachable(config)["response_time"]["value"], rel=0.07)
