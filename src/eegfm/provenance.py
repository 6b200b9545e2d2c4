"""Records of what files were made from, and a check of which files do not belong together."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from eegfm.config import StrictModel

RECORD_KEY = "eegfm"
"""Name under which a record stands in the metadata of a file."""


class Record(StrictModel):
    """What an artefact says of itself. It names no time, path or machine: the same work gives the same record.

    An identity is a hash of contents alone. A step that runs again and gives the same contents makes nothing stale,
    whatever changed before it.

    Attributes:
        contents: Identity of this artefact.
        made_by: The step.
        is_data: Whether the step is one of those that every run repeats, from raw files to mixture. What others make
            (encoders, scores) stands for itself, whatever became of its data.
        made_from: By entry of the catalog, the identity that the step read.
        made_with: By entry, the identities of what the same run of the step gave.
        parameters: By name, those that the step took, as far as they decide a result.
        code: Roots of the code, and the hash of all of it, see ``eegfm.source_code``.
        accepted: What did not belong together and was read all the same, as a parameter allowed.
    """

    contents: str
    made_by: str
    is_data: bool
    made_from: dict[str, str]
    made_with: dict[str, str]
    parameters: dict[str, Any]
    code: tuple[tuple[str, ...], str]
    accepted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stale:
    """An artefact that does not belong to the others.

    Args:
        entry: Its name in the catalog.
        why: What differs, as a predicate without its verb: ``made from another splits``.
        is_data: See ``Record``.
    """

    entry: str
    why: str
    is_data: bool


def described(stale: Iterable[Stale], n_most: int = 3) -> str:
    """Say what differs, those together that differ in the same, and not all of them where they are many."""
    entries: dict[str, list[str]] = {}
    for one in stale:
        entries.setdefault(one.why, []).append(one.entry)
    said = [f"{_some(names, n_most)} {'was' if len(names) == 1 else 'were'} {why}" for why, names in entries.items()]
    return _some(said, n_most, "; ")


def _some(texts: list[str], n_most: int, comma: str = ", ") -> str:
    more = f" and {len(texts) - n_most} more" if len(texts) > n_most else ""
    return comma.join(texts[:n_most]) + more


@dataclass
class _Claims:
    """What is said of one entry's identity: by itself, by what came with it, and by what was made from it."""

    here: str | None = None
    with_it: dict[str, str] = field(default_factory=dict)
    from_it: dict[str, str] = field(default_factory=dict)

    def wrong(self) -> Iterator[str]:
        """Those who speak of another generation than the one that counts: the one here, or its makers'."""
        of_makers = set(self.with_it.values())
        true = self.here or (of_makers.pop() if len(of_makers) == 1 else None)
        if true is None and not of_makers and len(set(self.from_it.values())) > 1:
            yield from self.from_it  # nobody knows which is older
        if true is None and of_makers:
            yield from self.with_it
        if true is not None:
            yield from (who for who, said in {**self.from_it, **self.with_it}.items() if said != true)


def find_stale(
    entries: Iterable[str],
    record_of: Callable[[str], Record | None],
    identity_of: Callable[[str], str | None],
    unmade: Collection[str] = (),
    changed: Callable[[Record], str | None] = lambda record: None,
) -> list[Stale]:
    """Find what does not belong together among artefacts that are read together.

    Data is followed upstream, to the entries that it was made from as they are now. What an encoder or a score says
    of an entry is compared with what the others say of it, and with the entry itself where it is one of them or of
    what they were made from.

    Args:
        entries: What is read.
        record_of: By entry; None where there is none.
        identity_of: By entry, as it is now; None where it does not exist.
        unmade: Entries that the same run will make anew: nothing can be said of them yet.
        changed: Says in words what of a step that made data (its parameters, its code) is another now.

    Returns:
        Those that should be made anew.
    """
    claims: dict[str, _Claims] = {}
    records: dict[str, Record] = {}
    open_ = list(entries)
    seen: set[str] = set()
    while open_:
        entry = open_.pop()
        if entry in seen or entry in unmade:
            continue
        seen.add(entry)
        claims.setdefault(entry, _Claims()).here = identity_of(entry)
        record = record_of(entry)
        if record is None:
            continue
        records[entry] = record
        for other, said in record.made_from.items():
            claims.setdefault(other, _Claims()).from_it[entry] = said
        for other, said in record.made_with.items():
            claims.setdefault(other, _Claims()).with_it[entry] = said
        if record.is_data:
            open_ += [*record.made_from, *record.made_with]
    wrong = [(who, other) for other, c in claims.items() if other not in unmade for who in c.wrong()]
    stale = [Stale(who, f"made from another {other}", records[who].is_data) for who, other in sorted(wrong)]
    for entry, record in sorted(records.items()):
        why = changed(record) if record.is_data else None
        stale += [Stale(entry, why, is_data=True)] if why else []
    return stale


def sha256_of(value: Any) -> str:
    """Hash of plain data, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def differing(made: Mapping[str, Any], now: Mapping[str, Any], key: str = "") -> Iterator[str]:
    """Say which parameters are others now, one at a time: ``split.salt was 'a' and is 'b'``."""
    for name in sorted({*made, *now}):
        one, other = made.get(name), now.get(name)
        where = f"{key}.{name}" if key else str(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from differing(one, other, where)
        elif one != other:
            yield f"{where} was {_short(one)} and is {_short(other)}"


def _short(value: Any, n_most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= n_most else f"{text[:n_most]}…"
