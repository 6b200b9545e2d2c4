"""The best validation of a run."""

import math
from typing import Any


class BestValidation:
    """Smallest validation loss of a run, and its step."""

    def __init__(self) -> None:
        self.loss = math.inf
        self.step = 0

    def is_improved_by(self, loss: float, step: int) -> bool:
        """Note a validation; True if it is better than all before. One that is not finite never is."""
        if not loss < self.loss:
            return False
        self.loss, self.step = loss, step
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the loss and step."""
        return {"loss": self.loss, "step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with these."""
        self.loss, self.step = float(state["loss"]), int(state["step"])
