"""Errors that a user can act on. Each message says what was found, what is allowed and what to change."""


class EegfmError(ValueError):
    """Base of every error that input, data or configuration can cause."""


class ConfigError(EegfmError):
    """A configuration that is well-typed but cannot work."""


class RecordingError(EegfmError):
    """A file that cannot be trusted. It becomes one row of ``rejected``, never a crash of the run.

    Args:
        code: Short stable identifier, e.g. ``unknown_unit``.
        reason: The fault that was found.
        remedy: Advice to the user.
    """

    def __init__(self, code: str, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}")
        self.code = code
        self.reason = reason
        self.remedy = remedy

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        # Without this, exceptions with several arguments cannot be sent back from a worker process.
        return type(self), (self.code, self.reason, self.remedy)


class StoreError(EegfmError):
    """A signal store that is locked, damaged or of another version."""


class SplitError(EegfmError):
    """Persons, windows or labels that cannot be split or evaluated as asked."""


class CheckpointError(EegfmError):
    """A checkpoint that is missing, damaged or does not fit."""


class DamageError(CheckpointError):
    """A checkpoint that differs from the saved file."""


class LineageError(EegfmError):
    """Files that do not belong together, have no record of their origin, or differ from their record."""


class TrainingError(EegfmError):
    """A training that diverged or was stopped. It leaves no checkpoint."""
