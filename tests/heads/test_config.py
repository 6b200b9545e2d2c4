"""The menu of heads."""

import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from eegfm.heads.config import HEADS, HeadBase, HeadConfig, MlpConfig

MENU: TypeAdapter[HeadBase] = TypeAdapter(HeadConfig)


def test_the_default_of_finetuning() -> None:
    assert MENU.validate_python({"name": "mlp"}) == MlpConfig(hidden=(64,), dropout_ratio=0.1, pooling="mean")


@pytest.mark.parametrize("head", HEADS)
def test_every_head_survives_a_file(head: type[HeadBase]) -> None:
    assert MENU.validate_json(head().model_dump_json()) == head()


@pytest.mark.parametrize("given", [{"name": "mpl"}, {"name": "mlp", "hiden": [3]}, {"name": "mlp", "dropout_ratio": 1}])
def test_what_is_not_on_the_menu_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MENU.validate_python(given)


def test_the_menu_does_not_import_torch() -> None:
    code = "import sys, eegfm.heads.config; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
