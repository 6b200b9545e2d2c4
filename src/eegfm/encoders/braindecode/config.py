"""Configurations of braindecode models."""

from typing import ClassVar, Literal

from pydantic import Field

from eegfm.encoders.traits import WindowConfig

BraindecodeModel = Literal[
    "ATCNet",
    "AttentionBaseNet",
    "AttnSleep",
    "BDTCN",
    "BIOT",
    "CBraMod",
    "CodeBrain",
    "ContraWR",
    "CTNet",
    "DANCE",
    "Deep4Net",
    "DeepSleepNet",
    "DGCNN",
    "EEGConformer",
    "EEGDINO",
    "EEGInceptionERP",
    "EEGInceptionMI",
    "EEGITNet",
    "EEGNet",
    "EEGNeX",
    "EEGPT",
    "EEGSimpleConv",
    "EEGSym",
    "EEGTCNet",
    "FBCNet",
    "FBLightConvNet",
    "FBMSNet",
    "IFNet",
    "InterpolatedBENDR",
    "InterpolatedBIOT",
    "InterpolatedEEGPT",
    "InterpolatedLaBraM",
    "InterpolatedSignalJEPA",
    "LUNA",
    "MEDFormer",
    "MSVTNet",
    "MVPFormer",
    "NeuroPose",
    "PBT",
    "SCCNet",
    "SensingDynamics",
    "ShallowFBCSPNet",
    "SignalJEPA",
    "SignalJEPA_Contextual",
    "SignalJEPA_PostLocal",
    "SignalJEPA_PreLocal",
    "SincShallowNet",
    "SleepStagerBlanco2020",
    "SleepStagerChambon2018",
    "SPARCNet",
    "SyncNet",
    "TCFormer",
    "TIDNet",
    "TSception",
    "USleep",
    "ZUNA",
]
"""Models of braindecode 1.8 that are built from the shape of windows and the electrodes alone. Left out are those under
licenses for non-commercial use (BrainModule, EEGMiner, EMG2QwertyNet, MetaNeuromotorHand, VEMG2Pose); those that load
tables from the network while they are built (REVE, STEEGFormer); BENDR, one of whose channels is no electrode, and
Labram, which asks for names with every batch (their Interpolated forms are here); SSTDPN, which has no last layer."""


class BraindecodeConfig(WindowConfig):
    """A model of braindecode (extra ``zoo``) without its last layer, imported only when it is built.

    The model is untrained. Most expect a signal of about unit variance, which the default normalization gives; those
    that were pretrained elsewhere on another scale want theirs (``normalization: {name: fixed_scale, scale_uv: 100,
    clip: null}`` for CBraMod and LaBraM, 1 for microvolts).

    Args:
        model: Class name of the model in braindecode.
        options: Arguments of its constructor, besides those that the data decide.
    """

    implementation: ClassVar[str] = "eegfm.encoders.braindecode.model:Braindecode"
    has_depth_groups: ClassVar[bool] = False

    name: Literal["braindecode"] = "braindecode"
    model: BraindecodeModel = "ShallowFBCSPNet"
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)

    def __hash__(self) -> int:
        # A dictionary has no hash of its own; all other configurations have one.
        return hash(self.model_dump_json())
