"""Configurations of sources (how raw files arrive) and corpora (how their layout is read)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from eegfm.config import Buildable, StrictModel
from eegfm.corpora.hbn_tasks import START_KIT_EXCLUSIONS
from eegfm.recording import Reference
from eegfm.signal.montages.layouts import Layout


class CorpusLayout(Buildable):
    """Layout of a raw folder. ``listing`` names the fields that decide which files and labels there are.

    A change of these fields does not make stored recordings stale, because labels are joined again at every run.
    """

    listing: ClassVar[frozenset[str]] = frozenset()
    usual_layout: ClassVar[Layout] = "1005"
    """Layout of the electrodes of a corpus without the option ``layout``."""


class TuhCorpus(CorpusLayout):
    """The TUH EEG corpora: EDF, 10-20 names, everything else in the path, the patient field and annotation files.

    Attributes:
        family: Corpus in the folder. ``auto`` decides by each path. A given name leaves out files in the layout of
            another corpus, allows the raw folder to be ``edf`` itself, and searches only for the annotation files of
            this corpus. The search is then quicker on TUEG, which has none.
    """

    implementation: ClassVar[str] = "eegfm.corpora.tuh:Tuh"
    name: Literal["tuh"] = "tuh"
    family: Literal["auto", "tueg", "tuab", "tuev", "tuar", "tusz", "tusl", "tuep"] = "auto"


class HbnCorpus(CorpusLayout):
    """HBN-EEG: BIDS with 129 HydroCel channels against Cz, as BDF (challenge) or EEGLAB ``.set`` (OpenNeuro).

    Attributes:
        excluded_subjects: Subjects that are left out, with the reason for their rows; by default those of the
            challenge's start kit.
    """

    implementation: ClassVar[str] = "eegfm.corpora.hbn:Hbn"
    listing: ClassVar[frozenset[str]] = frozenset({"excluded_subjects"})
    usual_layout: ClassVar[Layout] = "gsn129"
    name: Literal["hbn"] = "hbn"
    excluded_subjects: dict[str, str] = Field(default_factory=lambda: dict(START_KIT_EXCLUSIONS))


class BidsCorpus(CorpusLayout):
    """Any folder in the layout of EEG-BIDS that holds one data set.

    Attributes:
        layout: Template that places electrodes by their names. BioSemi's caps (``biosemi64``) also read the raw names
            of the amplifier's inputs (A1 to B32).
        positions: ``template`` takes measured positions of ``electrodes.tsv`` only for electrodes that the template
            lacks. ``electrodes_tsv`` takes all measured positions, which gives every measured head its own montage.
        position_units: Units of the coordinates, where those that ``coordsystem.json`` states are wrong or missing.
        reference: Reference of the recordings; by default read from ``EEGReference`` or the labels (``-LE``, ``-AVG``).
            Labels that end in ``-REF`` name no reference: it is ``unknown`` then.
        tasks: Only recordings of these tasks; empty for all.
        labels: Columns of ``participants.tsv`` that become labels, besides ``age`` and ``sex``: ``{MMSE: number}``.
    """

    implementation: ClassVar[str] = "eegfm.corpora.bids:Bids"
    listing: ClassVar[frozenset[str]] = frozenset({"tasks", "labels"})
    name: Literal["bids"] = "bids"
    layout: Layout = "1005"
    positions: Literal["template", "electrodes_tsv"] = "template"
    position_units: Literal["m", "cm", "mm"] | None = None
    reference: Reference | None = None
    tasks: tuple[str, ...] = ()
    labels: dict[str, Literal["text", "number"]] = Field(default_factory=dict)


class LabelTable(StrictModel):
    """A table of labels inside a raw folder, one row per person or per file.

    Attributes:
        table: Path inside the raw folder: ``.tsv`` (tabs), or ``.csv`` (commas; semicolons if the first line has no
            comma).
        key: Column with subject ids, or with paths or names of files, in any case.
        match: What ``key`` holds: ``subject`` or ``file``. By default the folder decides.
        columns: Columns that become labels, each as ``text`` or ``number``; by default all, as numbers where all values
            are.
    """

    table: str
    key: str
    match: Literal["subject", "file"] | None = None
    columns: dict[str, Literal["text", "number"]] = Field(default_factory=dict)

    @field_validator("table")
    @classmethod
    def _separator_is_known(cls, table: str) -> str:
        if not table.lower().endswith((".csv", ".tsv")):
            raise ValueError(f"{table!r} ends in neither .csv nor .tsv")
        return table


class EdfFolderCorpus(CorpusLayout):
    """Any folder of EDF or BDF files.

    Attributes:
        pattern: Path inside the folder with named fields, e.g. ``"S{subject}/S{subject}R{run}.edf"``. Fields:
            ``subject`` (required), ``session``, ``task``, ``run``. A field that occurs twice must match twice. No field
            matches ``/``. A path that fits in several ways is refused. A pattern that ends in neither ``.edf`` nor
            ``.bdf`` takes both.
        reference: Reference of the recordings; by default read from the labels (``-LE``, ``-AVG``). Labels that end in
            ``-REF`` name no reference: it is ``unknown`` then.
        layout: Template that places electrodes by their names. BioSemi's caps (``biosemi64``) also read the raw names
            of the amplifier's inputs (A1 to B32).
        labels: Table of labels of persons or files; none by default.
    """

    implementation: ClassVar[str] = "eegfm.corpora.edf_folder:EdfFolder"
    listing: ClassVar[frozenset[str]] = frozenset({"labels"})
    name: Literal["edf_folder"] = "edf_folder"
    pattern: str = "{subject}.edf"
    reference: Reference | None = None
    layout: Layout = "1005"
    labels: LabelTable | None = None


CorpusConfig = Annotated[TuhCorpus | HbnCorpus | BidsCorpus | EdfFolderCorpus, Field(discriminator="name")]
