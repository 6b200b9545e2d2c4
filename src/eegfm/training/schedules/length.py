"""Length of a run, as far as it is known when a schedule is checked. No torch here."""

from dataclasses import dataclass

from eegfm.errors import ConfigError


@dataclass(frozen=True)
class RunLength:
    """Length of a run; None is what only the data decides.

    Args:
        n_steps: Optimizer steps in all.
        n_epochs: Passes of the plan in all, the last one maybe not whole.
        n_validations: Validations, the last one after the last step; 0 without validation windows.
    """

    n_steps: int | None = None
    n_epochs: float | None = None
    n_validations: int | None = None

    def refuse_steps(self, key: str, n_steps: float) -> None:
        """Refuse a number of steps that does not end before the run does.

        Raises:
            ConfigError: Names the key, its value, and what is allowed.
        """
        if self.n_steps is not None and n_steps >= self.n_steps:
            raise ConfigError(f"{key} {n_steps:g} is beyond the run of {self.n_steps} steps; lower it or train longer")

    def refuse_epochs(self, key: str, n_epochs: float) -> None:
        """Refuse a number of epochs that does not end before the run does.

        Raises:
            ConfigError: Names the key, its value, and what is allowed.
        """
        if self.n_epochs is not None and n_epochs >= self.n_epochs:
            raise ConfigError(
                f"{key} {n_epochs:g} is beyond the run of {self.n_epochs:.4g} epochs; lower it or train longer"
            )
