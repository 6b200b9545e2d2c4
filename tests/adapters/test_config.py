import pytest
from pydantic import TypeAdapter, ValidationError

from eegfm.adapters.config import AdapterConfig, PerceiverConfig

MENU = TypeAdapter(AdapterConfig)


def test_the_menu_is_closed() -> None:
    assert MENU.validate_python({"name": "zero_pad", "montage": "1020_19"}).unplaced == "refuse"
    for wrong in ({"name": "pca"}, {"name": "none", "montage": "1020_19"}, {"name": "interpolate", "montage": "1020"}):
        with pytest.raises(ValidationError):
            MENU.validate_python(wrong)


def test_heads_must_share_the_width() -> None:
    with pytest.raises(ValidationError, match="d_model 30 is not a multiple of n_heads 4"):
        PerceiverConfig(d_model=30)
