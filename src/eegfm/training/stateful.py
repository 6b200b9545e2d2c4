"""Interface of everything that changes while a training runs, and that a resumed training needs back."""

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Stateful(Protocol):
    """A part of a run with a state of its own."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state: tensors, numbers, texts, lists and dicts of them; nothing that a pickle would import."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state over that ``state_dict`` of the same part gave."""
        ...
