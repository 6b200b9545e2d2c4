"""Roles of the corpora, and parameters of the splits."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from eegfm.config import StrictModel, listed, refuse_repeated

Ratio = Annotated[float, Field(ge=0, lt=1)]

RESERVED = {
    # parameters, catalog entries and folders
    *("corpora", "data", "mix", "mixture", "model", "params", "roles", "runs", "signal", "split", "splits", "import"),
    *("start", "phases", "phase", "encoder_file", "test_ledger"),
    # pipelines, those to come among them
    *("ingest", "window", "pretrain", "contrast", "probe", "finetune", "challenge", "tune", "embed", "check"),
    *("tokenizer", "import_weights", "export", "report", "finetune_export"),
}
"""Names that no corpus may have."""
TUH_FAMILIES = frozenset({"tueg", "tuab", "tuev", "tuar", "tusz", "tusl", "tuep"})
"""The TUH corpora; a corpus of such a name has their subject ids."""


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name!r} cannot name a corpus, it means something else; choose another name")
    return name


CorpusName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"), AfterValidator(_not_reserved)]
"""Lower case, digits and single underscores: it becomes part of file names and catalog entries."""

PersonName = Annotated[str, Field(pattern=r"^[a-z0-9_]+:.*\S")]
"""``corpus:subject``."""


class Roles(StrictModel):
    """Role of each corpus.

    Args:
        pretrain: Corpora whose persons may enter pretraining; empty where the encoder comes from elsewhere.
        probe: Corpora on whose persons the encoder is evaluated; empty for none.
    """

    pretrain: Annotated[list[CorpusName], listed("hbn")]
    probe: Annotated[list[CorpusName], listed("hbn")] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "Roles":
        refuse_repeated(list(self.pretrain), "corpus")
        refuse_repeated(list(self.probe), "corpus")
        return self

    @model_validator(mode="after")
    def _some_corpus(self) -> "Roles":
        if not self.pretrain and not self.probe:
            raise ValueError("pretrain and probe name no corpus; name one in corpora.pretrain or in corpora.probe")
        return self

    @property
    def corpora(self) -> list[str]:
        """All corpora with a role, each once."""
        return list(dict.fromkeys([*self.pretrain, *self.probe]))


class SplitParams(StrictModel):
    """Parameters that identify persons and assign them to splits.

    Args:
        protocol: ``persons``: hashes decide who is tested. ``official``: the corpora of ``corpora.probe`` are divided
            as published: their test part is tested, a published validation part (TUSZ ``dev``) is validated on, and
            the other persons are trained on, also where the corpus is not pretrained on. Where no validation part is
            published, ``validation_ratio`` draws one from the training part. ``test_ratio`` is not used.
        validation_ratio: Expected share of a pretraining corpus's persons on whom the loss is only measured.
        test_ratio: Expected share of persons kept for testing, in a corpus that is pretrained and probed.
        salt: Text that is hashed with the person; another salt gives another split.
        folds: Test persons that are held out at a time: one person, or one of this many groups.
        stratify_by: Column of the recordings, e.g. ``pathology``. Each of its values is then distributed over splits
            and folds exactly. The price: added persons can move those at the boundary between two splits.
        linked_corpora: Groups of corpora in which the same subject id means the same person. The TUH corpora, and
            corpora with NDA's subject ids (HBN), need not be named.
        same_persons: Groups of ``corpus:subject`` that are one person each.
        test_sets: Official splits whose persons are never trained on, by TUH family, ``hbn``, or name of a
            corpus; an entry replaces the registered one, see ``eegfm.splits.test_sets``.
        held_out: By corpus, subjects who are never trained on because they are in a test set that is not at
            hand, e.g. the persons of TUAB's ``eval`` if only TUEG is ingested.
    """

    protocol: Literal["persons", "official"] = "persons"
    validation_ratio: Ratio = 0.1
    test_ratio: Ratio = 0.3
    salt: str = "eegfm"
    folds: Literal["leave_one_person_out"] | Annotated[int, Field(ge=2)] = "leave_one_person_out"
    stratify_by: str = ""
    linked_corpora: tuple[Annotated[tuple[CorpusName, ...], Field(min_length=2)], ...] = ()
    same_persons: tuple[Annotated[tuple[PersonName, ...], Field(min_length=2)], ...] = ()
    test_sets: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    held_out: dict[CorpusName, tuple[str, ...]] = Field(default_factory=dict)
