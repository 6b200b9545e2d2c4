import numpy as np
import pytest

from eegfm.corpora.simulated.config import Effects, SimulatedHbn
from eegfm.corpora.simulated.people import hbn_person
from eegfm.corpora.simulated.tasks import clinical, contrast_change, movie, resting


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_resting_cues_alternate_and_the_eyes_follow_them() -> None:
    timeline = resting(200, _rng())
    cues = [(e.onset_s, e.value) for e in timeline.events if e.value.startswith("instructed")]
    assert [v for _, v in cues] == (["instructed_toOpenEyes", "instructed_toCloseEyes"] * 4)[: len(cues)]
    assert len(cues) == 7
    np.testing.assert_allclose(np.diff([t for t, _ in cues])[:2], [20, 40])
    for onset_s, value in cues:
        is_open = any(a <= onset_s + 10 < b for a, b in timeline.eyes_open_s)
        assert is_open == (value == "instructed_toOpenEyes")
        assert onset_s < 200


def test_contrast_change_has_the_published_trial_structure() -> None:
    person = hbn_person(SimulatedHbn(), 0)
    for seed in range(5):
        timeline = contrast_change(person, Effects(), 2, 190, _rng(seed))
        events = timeline.events
        assert [e.onset_s for e in events] == sorted(e.onset_s for e in events)
        assert ("contrastChangeB2_start", "95") in {(e.value, e.code) for e in events}
        starts = [e.onset_s for e in events if e.value == "contrastTrial_start"]
        targets = [e.onset_s for e in events if e.value.endswith("_target")]
        assert len(starts) == len(targets) + 1  # the last trial never gets its target
        delays = np.subtract(targets, starts[:-1])
        assert np.isclose(delays[:, None], [2.8, 4.4, 6.0], atol=0.003).any(axis=1).all()
        np.testing.assert_allclose(np.subtract(starts[1:], targets), 2.4, atol=0.003)
        assert starts[-1] < 190


def test_presses_answer_the_target_and_the_potential_comes_with_them() -> None:
    effects = Effects(press_jitter_s=0.05)
    person = hbn_person(SimulatedHbn(), 3)
    codes = {"right_buttonPress": ("13", True), "left_buttonPress": ("12", False)}
    delays, times, right_answers = [], [], 0
    for seed in range(20):
        timeline = contrast_change(person, effects, 1, 190, _rng(seed))
        pressed = [e for e in timeline.events if e.value.endswith("buttonPress")]
        assert len(pressed) == len(timeline.presses)
        target = None
        for event in timeline.events:
            if event.value.endswith("_target"):
                target = event
            elif event.value.endswith("buttonPress") and event.feedback != "non_target":
                assert target is not None
                times.append(event.onset_s - target.onset_s)
                same_side = event.value.split("_")[0] == target.value.split("_")[0]
                assert same_side == (event.feedback == "smiley_face")
                right_answers += same_side
        for event, (time_s, right) in zip(pressed, timeline.presses, strict=True):
            assert codes[event.value] == (event.code, right)
            delays.append(time_s - event.onset_s)
    assert np.std(delays) == pytest.approx(0.05, rel=0.15)
    assert np.mean(times) == pytest.approx(person.rt_mean_s, abs=0.1)
    assert 0.3 < np.std(times) < 0.4
    assert (min(times) >= 0.198, max(times) <= 2.352) == (True, True)
    assert right_answers / len(times) == pytest.approx(0.88, abs=0.05)


def test_movie_starts_on_a_sample_and_carries_its_codes() -> None:
    timeline = movie("ThePresent", 60, _rng())
    assert timeline.movie is not None
    name, start_s, length_s = timeline.movie
    assert (start_s * 100) == pytest.approx(round(start_s * 100))
    marks = {e.value: (e.onset_s, e.code) for e in timeline.events}
    assert marks["video_start"] == (start_s, "84")
    assert marks["video_stop"] == (pytest.approx(start_s + length_s), "104")
    assert (name, start_s + length_s < 60) == ("ThePresent", True)


def test_clinical_recordings_are_mostly_closed_eyes() -> None:
    spans = clinical(600, _rng()).eyes_open_s
    assert 0.1 < sum(b - a for a, b in spans) / 600 < 0.4
