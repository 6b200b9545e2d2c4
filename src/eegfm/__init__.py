"""eegfm: from raw EEG files to a pretrained, probed and scored foundation model."""

__version__ = "0.1.0"
