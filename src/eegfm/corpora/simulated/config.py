"""Configurations of the simulated corpora: how many, how long, and how strong each planted effect is."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from eegfm.config import StrictModel

MANIFEST = "simulated.json"
UNFINISHED = "simulated.unfinished.json"
"""Manifest in the root of a simulated corpus, written last: the configuration and every file."""

Ratio = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(gt=0)]
Level = Annotated[float, Field(ge=0)]

Movie = Literal["DespicableMe", "DiaryOfAWimpyKid", "FunwithFractals", "ThePresent"]


class Effects(StrictModel):
    """Sizes of the planted effects. ``ceiling.best_reachable`` computes the best reachable scores from these sizes.

    A ``log_*`` effect multiplies an amplitude by its exponential. Every effect on a person has a spread between persons
    that hides it. The ratio of effect and spread, not the effect alone, decides how predictable a target is.

    Attributes:
        eyes_log_alpha: Fall of the posterior alpha amplitude when the eyes open.
        alpha_drift_log_sd: Slow waxing and waning of that amplitude within a recording.
        alpha_person_log_sd: Spread of that amplitude between persons that no label explains.
        abnormal_log_slow: Rise of the delta and theta amplitude in abnormal persons.
        slow_person_log_sd: Spread of that amplitude between persons.
        abnormal_alpha_hz: Shift of the alpha peak in abnormal persons.
        age_child_hz: Distance of the alpha peak at 5 years below the adult peak.
        age_adult_hz_per_year: Shift of the alpha peak per year after 20.
        alpha_peak_person_sd_hz: Spread of the alpha peak between persons of one age.
        sex_log_beta: Ratio of the beta amplitude, women to men.
        beta_person_log_sd: Spread of that amplitude between persons of one sex.
        p_factor_log_alpha: Change of the alpha amplitude per standard deviation of p_factor.
        attention_log_theta: Change of the frontal-midline theta amplitude per standard deviation of attention.
        theta_person_log_sd: Spread of that amplitude between persons.
        internalizing_log_asymmetry: Change of the right-to-left ratio of alpha amplitudes per standard deviation of
            internalizing.
        asymmetry_person_log_sd: Spread of that ratio between persons.
        externalizing_exponent: Change of the exponent of the 1/f background per standard deviation of externalizing.
        exponent_person_sd: Spread of that exponent between persons.
        press_uv: Peak of the button-press potential over the motor cortex.
        press_jitter_s: Spread of the delay between that potential and the logged press.
        movie_uv: Root mean square of the movie response above each of its sources.
        movie_shared_ratio: Share of its variance that all persons have in common.
    """

    eyes_log_alpha: Level = 1.1
    alpha_drift_log_sd: Spread = 0.25
    alpha_person_log_sd: Spread = 0.3
    abnormal_log_slow: Level = 0.55
    slow_person_log_sd: Spread = 0.3
    abnormal_alpha_hz: Annotated[float, Field(le=0)] = -1.0
    age_child_hz: Level = 2.6
    age_adult_hz_per_year: Annotated[float, Field(le=0)] = -0.03
    alpha_peak_person_sd_hz: Spread = 0.4
    sex_log_beta: Level = 0.6
    beta_person_log_sd: Spread = 0.35
    p_factor_log_alpha: float = -0.25
    attention_log_theta: float = 0.35
    theta_person_log_sd: Spread = 0.4
    internalizing_log_asymmetry: float = 0.3
    asymmetry_person_log_sd: Spread = 0.35
    externalizing_exponent: float = -0.12
    exponent_person_sd: Spread = 0.15
    press_uv: Level = 12.0
    press_jitter_s: Spread = 0.08
    movie_uv: Level = 8.0
    movie_shared_ratio: Ratio = 0.5


class SimulatedTuh(StrictModel):
    """Simulated clinical EEG in the layout of TUAB v3: EDF, 21 channels against their average.

    Attributes:
        seed: Seed of all draws; person k is the same whatever ``n_subjects`` is.
        n_subjects: Number of persons.
        duration_s: Length of each recording.
        abnormal_ratio: Share of persons that are abnormal.
        eval_ratio: Share of persons of each class in the official ``eval`` folder.
        two_sessions_ratio: Share of persons with a second session, so that persons are not the same as recordings.
        rate_256_ratio: Share of recordings at 256 Hz; the others have 250 Hz.
        permuted_ratio: Share of recordings with another order of channels.
        ekg_ratio: Share of recordings with one more channel, ``EEG EKG1-REF``.
        effects: Sizes of the planted effects.
    """

    name: Literal["simulated_tuh"] = "simulated_tuh"
    seed: int = Field(default=20, ge=0)
    n_subjects: int = Field(default=24, ge=1)
    duration_s: int = Field(default=120, ge=2)
    abnormal_ratio: Ratio = 0.5
    eval_ratio: Ratio = 0.25
    two_sessions_ratio: Ratio = 0.15
    rate_256_ratio: Ratio = 0.3
    permuted_ratio: Ratio = 0.4
    ekg_ratio: Ratio = 0.3
    effects: Effects = Effects()


class SimulatedHbn(StrictModel):
    """Simulated HBN-EEG as BIDS: 129 HydroCel channels against Cz, three tasks, factors in ``participants.tsv``.

    Attributes:
        seed: Seed of all draws; person k is the same whatever ``n_subjects`` is.
        n_subjects: Number of persons.
        resting_s: Length of RestingState (20 s open, 40 s closed in turns, by cue).
        n_ccd_runs: Runs of contrastChangeDetection per person.
        ccd_s: Length of one run (a trial takes about 7 s).
        movies: Movies that each person watches.
        movie_s: Length of one movie recording.
        missing_ratio: Share of persons whose four factors are ``n/a``.
        male_ratio: Share of male persons.
        file_format: ``bdf`` at 100 Hz (the challenge's files) or EEGLAB ``set`` at 500 Hz (OpenNeuro's files).
        effects: Sizes of the planted effects.
    """

    name: Literal["simulated_hbn"] = "simulated_hbn"
    seed: int = Field(default=20, ge=0)
    n_subjects: int = Field(default=20, ge=1)
    resting_s: int = Field(default=200, ge=0)
    n_ccd_runs: int = Field(default=1, ge=0, le=3)
    ccd_s: int = Field(default=100, ge=20)
    movies: tuple[Movie, ...] = ("DespicableMe",)
    movie_s: int = Field(default=100, ge=10)
    missing_ratio: Ratio = 0.1
    male_ratio: Ratio = 0.65
    file_format: Literal["bdf", "set"] = "bdf"
    effects: Effects = Effects()

    @model_validator(mode="after")
    def _has_a_task(self) -> "SimulatedHbn":
        if not (self.resting_s or self.n_ccd_runs or self.movies):
            raise ValueError("no task is left: resting_s and n_ccd_runs are 0 and movies is empty; set one of them")
        if 0 < self.resting_s < 20:
            raise ValueError(
                f"resting_s is {self.resting_s}; 0 (no RestingState) or at least 20 s (one cue) is allowed"
            )
        if len(set(self.movies)) != len(self.movies):
            raise ValueError(f"movies names a movie twice: {list(self.movies)}; name each once")
        return self

    @property
    def rate_hz(self) -> int:
        """Sampling rate of the files."""
        return 100 if self.file_format == "bdf" else 500


SimulatedConfig = Annotated[SimulatedTuh | SimulatedHbn, Field(discriminator="name")]
