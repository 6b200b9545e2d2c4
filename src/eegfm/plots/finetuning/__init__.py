"""Figures of a finetuning: scores beside controls, learning curves, and what models say of the test windows."""

from eegfm.plots.finetuning.calibration import calibration_figure
from eegfm.plots.finetuning.confusion import confusion_figure
from eegfm.plots.finetuning.curves import precision_recall_figure, roc_figure
from eegfm.plots.finetuning.groups import groups_figure
from eegfm.plots.finetuning.label_efficiency import label_efficiency_figure
from eegfm.plots.finetuning.learning import learning_curves
from eegfm.plots.finetuning.scatter import scatter_figure
from eegfm.plots.finetuning.scores import finetuning_figure

__all__ = [
    "calibration_figure",
    "confusion_figure",
    "finetuning_figure",
    "groups_figure",
    "label_efficiency_figure",
    "learning_curves",
    "precision_recall_figure",
    "roc_figure",
    "scatter_figure",
]
