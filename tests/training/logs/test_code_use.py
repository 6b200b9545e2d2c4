"""Use of a codebook over a whole validation, in one process and in several."""

import json

import pytest
import torch

from eegfm.training.logs.code_use import CodeUse


def test_a_validation_counts_as_a_whole() -> None:
    use = CodeUse()
    assert use.take() == {}
    parts = [("tuh", [3.0, 0, 0, 0]), ("hbn", [1.0, 1, 0, 0]), ("hbn", [0, 2.0, 0, 0])]
    for corpus, counts in parts:
        use.add(corpus, torch.tensor(counts))
    use.add("hbn", None)
    found = use.take()
    assert found["val/used_ratio"] == found["val/used_ratio/hbn"] == 2 / 4
    assert found["val/used_ratio/tuh"] == 1 / 3
    assert found["val/perplexity/tuh"] == pytest.approx(1)
    assert found["val/perplexity/hbn"] == pytest.approx(4 / 27**0.25)  # shares 1/4 and 3/4
    assert use.take() == {}, "it begins anew"
    said = []
    for own in (parts[:1], parts[1:]):
        for corpus, counts in own:
            use.add(corpus, torch.tensor(counts))
        use.take(lambda plain: said.append(json.loads(json.dumps(plain))) or [])
    assert use.take(lambda _: said) == found, "two processes"
