"""The best validation of a run."""

import math
from typing import Any


class BestValidation:
    """Smallest monitored value of a run, its step, and the number of validations since.

    Args:
        patience: Validations without a better one after which the run has ended; None for never.
        first_step: Steps up to which validations do not count: parts of the model are not trained yet.
    """

    def __init__(self, patience: int | None = None, first_step: int = 0) -> None:
        self._patience, self._first_step = patience, first_step
        self.loss = math.inf
        self.step = 0
        self.n_since = 0

    @property
    def has_ended(self) -> bool:
        """Tell whether the run ends early."""
        return self._patience is not None and self.n_since >= self._patience

    def is_improved_by(self, loss: float, step: int) -> bool:
        """Note a validation; True if it is better than all before. One that is not finite never is.

        A run that goes on from a state before its best validation takes validations again: up to the best one they do
        not count as worse.
        """
        if not loss < self.loss:
            self.n_since = self.n_since + 1 if step > max(self.step, self._first_step) else 0
            return False
        self.loss, self.step, self.n_since = loss, step, 0
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the loss and step, and what came since."""
        return {"loss": self.loss, "step": self.step, "n_since": self.n_since}

    def believe(self, stored: dict[str, Any]) -> None:
        """Take over the best validation of a file, which may be later than the state that a run goes on from."""
        if stored["step"] > self.step:
            self.n_since = 0
        self.loss, self.step = float(stored["loss"]), int(stored["step"])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with these."""
        self.loss, self.step, self.n_since = float(state["loss"]), int(state["step"]), int(state["n_since"])
