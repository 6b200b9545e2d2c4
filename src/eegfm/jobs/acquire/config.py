"""Parameters of acquisition: the source of the raw files."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from eegfm.config import StrictModel
from eegfm.corpora.simulated.config import SimulatedHbn, SimulatedTuh


class FolderSource(StrictModel):
    """Existing raw files in the folder of the catalog entries ``raw_folder`` and ``raw``."""

    name: Literal["folder"] = "folder"


class S3Source(StrictModel):
    """Objects of an S3 bucket, fetched into the raw folder, which holds what is chosen and nothing else; see
    ``docs/sources.md``.

    Patterns are matched against the whole path below ``url``, and ``*`` also matches ``/``.

    Attributes:
        url: Bucket and prefix, e.g. ``s3://openneuro.org/ds005509``.
        include: An object is chosen if one of these patterns matches it …
        exclude: … and none of these does.
        max_subjects: Of these, only the first subjects in sorted order, as the corpus reads them off the paths; files
            that name no subject are kept.
        anonymous: Send no credentials. Otherwise the AWS SDK looks for credentials, first in ``AWS_ACCESS_KEY_ID`` and
            ``AWS_SECRET_ACCESS_KEY``.
        endpoint_url: Another server than Amazon's; the default is ``AWS_ENDPOINT_URL``.
        n_parallel: Number of files that are fetched at the same time.
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
        """Prefix of the keys of all objects: empty, or ending in a slash."""
        prefix = self.url.removeprefix("s3://").partition("/")[2]
        return f"{prefix}/" if prefix else ""


SourceConfig = Annotated[FolderSource | S3Source | SimulatedTuh | SimulatedHbn, Field(discriminator="name")]


class AcquireParams(StrictModel):
    """Source of the raw files of a corpus."""

    source: SourceConfig = FolderSource()

    def identity(self) -> dict[str, Any]:
        """Options that decide the raw files: all except ``n_parallel``."""
        return self.model_dump(mode="json", exclude={"source": {"n_parallel"}})

    @property
    def simulates(self) -> bool:
        """True if the recordings are simulated. Scores on them do not hold for real recordings."""
        return isinstance(self.source, SimulatedTuh | SimulatedHbn)
