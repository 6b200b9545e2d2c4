import pytest
import yaml
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


@pytest.mark.parametrize("name", ["1020_19", "1020_21", "1010_64", "gsn_129"])
def test_names_need_no_quotes(name: str) -> None:
    """YAML and the command line take 1020_19 for a number."""
    read = yaml.safe_load(f"{{name: interpolate, montage: {name}}}")
    assert (read["montage"] == name) == (not name[0].isdigit())
    assert MENU.validate_python(read).montage == name
    with pytest.raises(ValidationError, match="1020_19"):
        MENU.validate_python({"name": "interpolate", "montage": 102018})
