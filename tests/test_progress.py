"""When a line is due, and how a span of time reads."""

import pytest

from eegfm import progress
from eegfm.progress import Ticker, span_text


def test_a_line_is_due_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    times_s = iter((100.0, 101.0, 109.9, 110.0, 111.0, 125.0, 134.0, 135.0, 136.0))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times_s))
    ticker = Ticker()
    assert [ticker.is_due() for _ in range(7)] == [False, False, True, False, True, False, True]
    assert ticker.elapsed_s == 36.0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_spans(seconds: float, text: str) -> None:
    assert span_text(seconds) == text
