"""Lightning data module with the training and validation windows of a mixture."""

from lightning import LightningDataModule

from eegfm.training.loading.training_loader import TrainingLoader
from eegfm.training.loading.validation_loader import ValidationLoader


class WindowData(LightningDataModule):
    """Loaders of one training: every item is a ``TrainStep`` of micro-batches.

    One Lightning epoch is the whole training: epochs belong to the plan of windows.

    Args:
        training: Steps of the plan.
        validation: Chosen windows once.
    """

    def __init__(self, training: TrainingLoader, validation: ValidationLoader) -> None:
        super().__init__()
        self._training, self._validation = training, validation

    def train_dataloader(self) -> TrainingLoader:
        """Return the steps of the plan, from the first to the last."""
        return self._training

    def val_dataloader(self) -> ValidationLoader:
        """Return chosen windows once; no step where there is no validation person."""
        return self._validation
