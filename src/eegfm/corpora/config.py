"""The menu of sources and corpora: where raw files come from and how their layout is read."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from eegfm.config import Buildable, StrictModel
from eegfm.corpora.simulated.config import SimulatedHbn, SimulatedTuh
from eegfm.recording import Reference


class FolderSource(StrictModel):
    """Raw files that are there, in the folder that the catalog entries ``raw_folder`` and ``raw`` name."""

    name: Literal["folder"] = "folder"


SourceConfig = Annotated[FolderSource | SimulatedTuh | SimulatedHbn, Field(discriminator="name")]


class AcquireParams(StrictModel):
    """Where the raw files of a corpus come from."""

    source: SourceConfig = FolderSource()


class TuhCorpus(Buildable):
    """The TUH EEG corpora (TUEG, TUAB): EDF, 10-20 names, everything else in the path and the patient field."""

    implementation: ClassVar[str] = "eegfm.corpora.tuh:Tuh"
    name: Literal["tuh"] = "tuh"


class HbnCorpus(Buildable):
    """HBN-EEG: BIDS with 129 HydroCel channels against Cz, as BDF (challenge) or EEGLAB ``.set`` (OpenNeuro)."""

    implementation: ClassVar[str] = "eegfm.corpora.hbn:Hbn"
    name: Literal["hbn"] = "hbn"


class EdfFolderCorpus(Buildable):
    """Any folder of EDF or BDF files with 10-05 electrode names.

    Attributes:
        pattern: Path inside the folder with named fields, e.g. ``"S{subject}/S{subject}R{run}.edf"``. Fields:
            ``subject`` (required), ``session``, ``task``, ``run``. A field that stands twice must match twice.
        reference: What the signals were recorded against; read from the labels (``-REF``, ``-LE``) by default.
    """

    implementation: ClassVar[str] = "eegfm.corpora.edf_folder:EdfFolder"
    name: Literal["edf_folder"] = "edf_folder"
    pattern: str = "{subject}.edf"
    reference: Reference | None = None


CorpusConfig = Annotated[TuhCorpus | HbnCorpus | EdfFolderCorpus, Field(discriminator="name")]
