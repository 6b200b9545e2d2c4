"""What is asked of windows survives a protocol in JSON."""

import json

import pytest

from answered_windows import TARGETS
from eegfm.targets import TargetSpec


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_target_is_read_from_what_a_protocol_tells(target: TargetSpec) -> None:
    assert TargetSpec.of_told(json.loads(json.dumps(target._asdict()))) == target
