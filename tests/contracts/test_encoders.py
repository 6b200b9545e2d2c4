"""Every encoder on the menu, and some variants, keep every promise; see ``CHECKS``."""

import pytest

from contracts import bad_channel_checks, depth_checks, encoder_checks, encoder_training, masked_content
from contracts.encoder_cases import CASES, PARAMS, Case, Subject
from zoo.stand_in import braindecode_models

CHECKS = {
    **encoder_checks.CHECKS,
    **encoder_training.CHECKS,
    **masked_content.CHECKS,
    **bad_channel_checks.CHECKS,
    **depth_checks.CHECKS,
}


@pytest.fixture
def subject(request: pytest.FixtureRequest) -> Subject:
    case: Case = request.param
    if case.member == "braindecode":
        braindecode_models()
    return Subject.of(case)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("subject", PARAMS, indirect=True)
def test_encoder_keeps_its_promise(subject: Subject, check: str) -> None:
    if check in subject.case.exceptions:
        with pytest.raises((AssertionError, RuntimeError, pytest.fail.Exception)):
            CHECKS[check](subject)
    else:
        CHECKS[check](subject)


def test_every_exception_names_a_check() -> None:
    assert {check for case in CASES.values() for check in case.exceptions} <= set(CHECKS)
