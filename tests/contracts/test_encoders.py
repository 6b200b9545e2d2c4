"""Every encoder on the menu keeps every promise, and so do some variants; see ``CHECKS``.

``EEGFM_CONTRACTS=full`` asks variants for all of them; without it they are asked for all but ``SLOW``.
"""

import pytest

from contracts import bad_channel_checks, depth_checks, encoder_checks, encoder_training, masked_content
from contracts.encoder_cases import CASES, MEMBERS, MENU, PARAMS, Case, Subject
from zoo.stand_in import braindecode_models

CHECKS = {
    **encoder_checks.CHECKS,
    **encoder_training.CHECKS,
    **masked_content.CHECKS,
    **bad_channel_checks.CHECKS,
    **depth_checks.CHECKS,
}

SLOW = {"compiles", "exports", "overfits_eight_windows"}
"""Half of the time that the contract takes; every member of the menu is asked for them all the same."""
ASKED = [(param, check) for param in PARAMS for check in CHECKS if param in MENU or check not in SLOW]
"""Cases and the checks that they are asked for."""


@pytest.fixture
def subject(request: pytest.FixtureRequest) -> Subject:
    case: Case = request.param
    if case.member == "braindecode":
        braindecode_models()
    return Subject.of(case)


@pytest.mark.parametrize(
    ("subject", "check"),
    [pytest.param(*param.values, check, id=f"{param.id}-{check}", marks=param.marks) for param, check in ASKED],
    indirect=["subject"],
)
def test_encoder_keeps_its_promise(subject: Subject, check: str) -> None:
    if check in subject.case.exceptions:
        with pytest.raises((AssertionError, RuntimeError, pytest.fail.Exception)):
            CHECKS[check](subject)
    else:
        CHECKS[check](subject)


def test_every_exception_names_a_check() -> None:
    assert {check for case in CASES.values() for check in case.exceptions} <= set(CHECKS) - SLOW


def test_every_encoder_of_the_menu_is_asked_for_everything() -> None:
    assert {(param.id, check) for param, check in ASKED} >= {(name, check) for name in MEMBERS for check in CHECKS}
