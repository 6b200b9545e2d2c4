"""Tables of a probe: every kind of features that metrics hold, the audit, and label efficiency."""

from typing import Any

from eegfm.jobs.report.probe_rows import audit_rows, efficiency_rows, probe_rows


def accuracy(pooled: float) -> dict[str, Any]:
    return {"balanced_accuracy": {"pooled": pooled, "interval_95": [pooled - 0.1, pooled + 0.1]}}


def audit(**changes: float | None) -> dict[str, float | None]:
    found = {"between_persons": 0.28, "between_persons_by_chance": 0.05, "of_answer": 0.012}
    return {**found, "accuracy": 0.9, "chance": 0.1, **changes}


METRICS: dict[str, Any] = {
    "pretrained": {**accuracy(0.8), "identity": audit(transductive_gap=0.05)},
    "majority": {**accuracy(0.5), "identity": audit(accuracy=None, chance=None)},
    "log_covariance": {**accuracy(0.7), "identity": audit(of_answer=None)},
    "paired_difference": {"majority": {"mean": 0.3}},
    "label_efficiency": [
        {"ratio": 0.01, "n_persons": [0, 1], "too_few": "0 training persons in a fold"},
        {"ratio": 0.5, "n_persons": [8, 8], "scores": {"pretrained": accuracy(0.75), "majority": accuracy(0.5)}},
    ],
    "protocol": {"classes": ["a", "b"]},
}


def test_every_kind_of_features_has_a_row_in_the_order_of_the_metrics() -> None:
    assert probe_rows(METRICS)["features"].tolist() == ["pretrained", "majority", "log_covariance"]


def test_audit_stands_beside_every_kind() -> None:
    rows = audit_rows(METRICS).to_dict("records")
    assert rows[0] == {
        "features": "pretrained", "variance between persons": "0.280", "that of noise": "0.050",
        "variance of the answer": "0.012", "persons told apart": "0.900", "by chance": "0.100",
        "gain of z-scores per person": "0.050",
    }  # fmt: skip
    assert (rows[1]["persons told apart"], rows[2]["variance of the answer"]) == ("", "")
    assert audit_rows({"pretrained": accuracy(0.8), "protocol": {}}).empty


def test_label_efficiency_has_a_row_per_share() -> None:
    rows = efficiency_rows(METRICS).fillna("").to_dict("records")
    assert rows == [
        {
            "share of training persons": "1%", "persons": "0 to 1", "pretrained": "", "majority": "",
            "why there is no score": "0 training persons in a fold",
        },
        {
            "share of training persons": "50%", "persons": "8", "pretrained": "0.750", "majority": "0.500",
            "why there is no score": "",
        },
    ]  # fmt: skip
    assert efficiency_rows({"pretrained": accuracy(0.8)}).empty
