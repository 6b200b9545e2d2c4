"""Take raw EEG files to a pretrained, probed and scored foundation model."""

from eegfm.processor import keep_onednn_from_amx

__version__ = "0.1.0"

# On every way in (kedro, python -m eegfm, pytest, a notebook), before torch computes anything.
keep_onednn_from_amx()
