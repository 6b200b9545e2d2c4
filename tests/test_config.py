"""Configurations are closed, frozen, and name members of a menu, never code."""

from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from eegfm.config import Buildable, StrictModel


class Inner(StrictModel):
    size: int = 2


class Outer(StrictModel):
    inner: Inner = Inner()


class Member(Buildable):
    """Builds a fraction: any class of any module that takes the configuration first."""

    implementation: ClassVar[str] = "eegfm.checkpoint:Checkpoint"
    name: Literal["member"] = "member"


def test_unknown_keys_are_refused_at_every_depth() -> None:
    assert Outer.model_validate({"inner": {"size": 3}}).inner.size == 3
    for bad in ({"iner": {}}, {"inner": {"sise": 3}}):
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            Outer.model_validate(bad)


def test_configurations_are_frozen() -> None:
    outer = Outer()
    with pytest.raises(ValidationError, match="frozen"):
        outer.inner = Inner(size=5)
    with pytest.raises(ValidationError, match="frozen"):
        outer.inner.size = 5


def test_build_imports_the_member_and_hands_the_configuration_over() -> None:
    built = Member().build(header="h")
    assert type(built).__name__ == "Checkpoint"
    assert (built.tensors, built.header) == (Member(), "h")


@pytest.mark.parametrize("key", ["implementation", "_target_", "class"])
def test_configuration_cannot_name_code(key: str) -> None:
    menu = TypeAdapter(Annotated[Member, Field(discriminator="name")])
    with pytest.raises(ValidationError):
        menu.validate_python({"name": "member", key: "os:system"})
    assert Member.implementation == "eegfm.checkpoint:Checkpoint"
