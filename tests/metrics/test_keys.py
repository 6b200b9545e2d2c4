import pytest

from answered_windows import TARGETS
from eegfm.errors import ConfigError
from eegfm.metrics.keys import STAGES, alias_of, canonical_key, check_monitor, metric_key, with_aliases
from eegfm.metrics.names import metric_names

ALIASES = {
    **{f"{stage}_loss": f"{stage}/loss" for stage in STAGES},
    **{f"{stage}_acc": f"{stage}/accuracy" for stage in STAGES},
    **{f"{stage}_balanced_acc": f"{stage}/balanced_accuracy" for stage in ("val", "test")},
    **{f"{stage}_auroc": f"{stage}/auroc" for stage in ("val", "test")},
    **{f"{stage}_aupr": f"{stage}/auprc" for stage in ("val", "test")},
    "test_precision": "test/precision",
    "test_f1_score": "test/f1",
}
"""Names of the predecessors."""


@pytest.mark.parametrize(("alias", "key"), ALIASES.items())
def test_names_of_the_predecessors_are_aliases(alias: str, key: str) -> None:
    assert canonical_key(alias) == key
    assert alias_of(key) == alias
    assert with_aliases({key: 0.5}) == {key: 0.5, alias: 0.5}


def test_full_names_are_aliases_and_other_texts_stay() -> None:
    assert canonical_key("val_accuracy") == canonical_key("val_acc") == canonical_key("val/accuracy") == "val/accuracy"
    assert canonical_key("val_nrmse") == "val/nrmse"
    assert canonical_key("train/abnormal") == "train/abnormal"
    assert with_aliases({"train/abnormal": 1.0}) == {"train/abnormal": 1.0}, "no alias of a key that is none of ours"


@pytest.mark.parametrize("kind", TARGETS)
def test_every_value_of_a_target_can_be_watched_by_key_and_alias(kind: str) -> None:
    for name in ("loss", *metric_names(TARGETS[kind])):
        key = metric_key("val", name)
        assert check_monitor(key, TARGETS[kind]) == check_monitor(alias_of(key), TARGETS[kind]) == key


@pytest.mark.parametrize(
    ("key", "kind", "closest"),
    [
        ("val_auprcc", "binary", "val_auprc"),
        ("val/balanced_acuracy", "multiclass", "val/balanced_accuracy"),
        ("val_acc", "regression", None),
        ("val/r2", "binary", None),
        ("test_acc", "binary", "val/accuracy"),
        ("val_psnr", "regression", None),
    ],
)
def test_a_key_that_will_not_exist_is_refused_in_one_line(key: str, kind: str, closest: str | None) -> None:
    with pytest.raises(ConfigError) as refused:
        check_monitor(key, TARGETS[kind])
    message = str(refused.value)
    assert message.startswith(f"monitor {key!r}: no value of a {TARGETS[kind].kind} target; known: val/loss, ")
    assert "\n" not in message
    if closest is not None:
        assert message.endswith(f"; did you mean {closest}?")


def test_a_value_of_another_stage_is_watched_where_it_is_asked_for() -> None:
    assert check_monitor("train_loss", TARGETS["binary"], stage="train") == "train/loss"
    with pytest.raises(ConfigError, match="'train_loss': no value"):
        check_monitor("train_loss", TARGETS["binary"])
