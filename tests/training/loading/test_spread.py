"""Windows that are chosen evenly."""

from eegfm.training.loading.spread import subsample_evenly


def test_subsampling_spreads_over_all_groups(groups) -> None:
    draws = subsample_evenly([groups["hbn"][0], groups["tuh"][0]], 7)
    assert [d.group.corpus for d in draws] == ["hbn", "tuh"]
    assert [d.positions.tolist() for d in draws] == [[0, 3, 7, 10], [1, 5, 8]]
    assert sum(len(d.positions) for d in subsample_evenly(groups["hbn"], 100)) == 12
