"""The menu of sources and corpora: where raw files come from and how their layout is read."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from eegfm.config import Buildable, StrictModel
from eegfm.corpora.hbn_tasks import START_KIT_EXCLUSIONS
from eegfm.corpora.simulated.config import SimulatedHbn, SimulatedTuh
from eegfm.recording import Reference
from eegfm.signal.electrodes import Layout


class FolderSource(StrictModel):
    """Raw files that are there, in the folder that the catalog entries ``raw_folder`` and ``raw`` name."""

    name: Literal["folder"] = "folder"


class S3Source(StrictModel):
    """Objects of an S3 bucket, fetched into the raw folder, which then mirrors what is chosen; see ``docs/sources.md``.

    Patterns are matched against the whole path below ``url``, and ``*`` also matches ``/``.

    Attributes:
        url: Bucket and prefix, e.g. ``s3://openneuro.org/ds005509``.
        include: An object is chosen if one of these patterns matches it …
        exclude: … and none of these does.
        max_subjects: Of these, only the first subjects in sorted order, as the corpus reads them off the paths; files
            that name no subject are kept.
        anonymous: Send no credentials. Otherwise they come from where the AWS SDK looks for them, first of all from
            ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``.
        endpoint_url: A server other than Amazon's; without it ``AWS_ENDPOINT_URL`` counts.
        n_parallel: Files that are fetched at the same time.
    """

    name: Literal["s3"] = "s3"
    url: str
    include: tuple[str, ...] = Field(default=("*",), min_length=1)
    exclude: tuple[str, ...] = ()
    max_subjects: int | None = Field(default=None, ge=1)
    anonymous: bool = True
    endpoint_url: str | None = Field(default=None, pattern=r"^https?://[^/]")
    n_parallel: int = Field(default=8, ge=1, le=64)

    @field_validator("url")
    @classmethod
    def _has_bucket(cls, url: str) -> str:
        if not re.fullmatch(r"s3://[A-Za-z0-9][\w.-]{2,}(/.*)?", url):
            raise ValueError("expected s3://bucket or s3://bucket/prefix")
        return url.rstrip("/")

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self.url.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """What the keys of all objects begin with: empty, or ending in a slash."""
        prefix = self.url.removeprefix("s3://").partition("/")[2]
        return f"{prefix}/" if prefix else ""


SourceConfig = Annotated[FolderSource | S3Source | SimulatedTuh | SimulatedHbn, Field(discriminator="name")]


class AcquireParams(StrictModel):
    """Where the raw files of a corpus come from."""

    source: SourceConfig = FolderSource()

    def identity(self) -> dict[str, Any]:
        """What decides the raw files: everything but how many are fetched at a time."""
        return self.model_dump(mode="json", exclude={"source": {"n_parallel"}})

    @property
    def simulates(self) -> bool:
        """Whether the recordings are simulated, so that no score on them says anything of real ones."""
        return isinstance(self.source, SimulatedTuh | SimulatedHbn)


class Layouted(Buildable):
    """How a raw folder is laid out; ``listing`` names the fields that say which files and labels there are.

    Recordings that are in the store do not become stale when these change: labels are joined anew at every run.
    """

    listing: ClassVar[frozenset[str]] = frozenset()


class TuhCorpus(Layouted):
    """The TUH EEG corpora: EDF, 10-20 names, everything else in the path, the patient field and annotation files.

    Attributes:
        family: Which of the corpora the folder holds. ``auto`` tells it by each path. Naming it leaves out files that
            lie as in another one, lets the raw folder be ``edf`` itself for all of them, and looks only for the
            annotation files that this corpus has: quicker on TUEG, which has none.
    """

    implementation: ClassVar[str] = "eegfm.corpora.tuh:Tuh"
    name: Literal["tuh"] = "tuh"
    family: Literal["auto", "tueg", "tuab", "tuev", "tuar", "tusz", "tusl", "tuep"] = "auto"


class HbnCorpus(Layouted):
    """HBN-EEG: BIDS with 129 HydroCel channels against Cz, as BDF (challenge) or EEGLAB ``.set`` (OpenNeuro).

    Attributes:
        excluded_subjects: Subjects that are left out, with the reason that stands in their rows; by default those of
            the challenge's start kit.
    """

    implementation: ClassVar[str] = "eegfm.corpora.hbn:Hbn"
    listing: ClassVar[frozenset[str]] = frozenset({"excluded_subjects"})
    name: Literal["hbn"] = "hbn"
    excluded_subjects: dict[str, str] = Field(default_factory=lambda: dict(START_KIT_EXCLUSIONS))


class BidsCorpus(Layouted):
    """Any folder in the layout of EEG-BIDS, with one data set in it.

    Attributes:
        layout: Template that places electrodes by their names.
        positions: ``template`` takes measured positions of ``electrodes.tsv`` only for electrodes that the template
            lacks; ``electrodes_tsv`` takes them for all that have one, which gives every measured head a montage of its
            own.
        reference: What the signals were recorded against; read from ``EEGReference`` or the labels (``-LE``, ``-AVG``)
            by default. Labels that end in ``-REF`` name none: it is ``unknown`` then.
        tasks: Only recordings of these tasks; empty for all.
        labels: Columns of ``participants.tsv`` that become labels, beside ``age`` and ``sex``: ``{MMSE: number}``.
    """

    implementation: ClassVar[str] = "eegfm.corpora.bids:Bids"
    listing: ClassVar[frozenset[str]] = frozenset({"tasks", "labels"})
    name: Literal["bids"] = "bids"
    layout: Layout = "1005"
    positions: Literal["template", "electrodes_tsv"] = "template"
    reference: Reference | None = None
    tasks: tuple[str, ...] = ()
    labels: dict[str, Literal["text", "number"]] = Field(default_factory=dict)


class EdfFolderCorpus(Layouted):
    """Any folder of EDF or BDF files with 10-05 electrode names.

    Attributes:
        pattern: Path inside the folder with named fields, e.g. ``"S{subject}/S{subject}R{run}.edf"``. Fields:
            ``subject`` (required), ``session``, ``task``, ``run``. A field that stands twice must match twice, and
            matches no ``/``. A path that it fits in several ways is refused. A pattern that ends in
            neither ``.edf`` nor ``.bdf`` takes both.
        reference: What the signals were recorded against; read from the labels (``-LE``, ``-AVG``) by default. Labels
            that end in ``-REF`` name none: it is ``unknown`` then.
    """

    implementation: ClassVar[str] = "eegfm.corpora.edf_folder:EdfFolder"
    name: Literal["edf_folder"] = "edf_folder"
    pattern: str = "{subject}.edf"
    reference: Reference | None = None


CorpusConfig = Annotated[TuhCorpus | HbnCorpus | BidsCorpus | EdfFolderCorpus, Field(discriminator="name")]
