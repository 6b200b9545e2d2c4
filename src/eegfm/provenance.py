"""Records of what files were made from, and a check of which files do not belong together."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from eegfm.config import StrictModel

RECORD_KEY = "eegfm"
"""Key of the record in the metadata of a file."""


class Record(StrictModel):
    """Origin of an artefact. It names no time, path or machine, so the same work gives the same record.

    An identity is a hash of contents alone. A step that runs again and gives the same contents makes nothing stale,
    whatever changed before it.

    Attributes:
        contents: Identity of this artefact.
        made_by: The step.
        is_data: Whether the step is one that every run repeats, from raw files to mixture. Artefacts of other steps
            (encoders, scores) stay valid when their data changes.
        made_from: Identity of each input of the step, by entry of the catalog.
        made_with: Identities of the other outputs of the same run of the step, by entry.
        parameters: Parameters of the step by name, as far as they decide a result.
        code: Roots of the code, and the hash of the whole code, see ``eegfm.source_code``.
        accepted: Differences between inputs that a parameter of the step accepted.
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
        why: The difference, as a predicate without its verb: ``made from another splits``.
        is_data: See ``Record``.
    """

    entry: str
    why: str
    is_data: bool


def described(stale: Iterable[Stale], n_most: int = 3) -> str:
    """Describe the differences. Entries with the same difference share a clause; long lists are shortened."""
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
    """Claims about one entry's identity: of itself, of outputs of the same run, and of artefacts made from it."""

    here: str | None = None
    with_it: dict[str, str] = field(default_factory=dict)
    from_it: dict[str, str] = field(default_factory=dict)

    def wrong(self) -> Iterator[str]:
        """Artefacts that claim another generation than the valid one: the present entry, or the entry of its makers."""
        of_makers = set(self.with_it.values())
        true = self.here or (of_makers.pop() if len(of_makers) == 1 else None)
        if true is None and not of_makers and len(set(self.from_it.values())) > 1:
            yield from self.from_it  # it is unknown which of them is older
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
    """Find artefacts that do not belong together, among artefacts that are read together.

    Data is followed upstream to its source entries as they are now. The claim of an encoder or a score about an entry
    is compared with the other claims. It is compared with the entry itself if the entry is read, or is a source of data
    that is read.

    Args:
        entries: Entries that are read.
        record_of: Record of each entry; None if there is none.
        identity_of: Present identity of each entry; None if it does not exist.
        unmade: Entries that the same run will make again, so nothing is known about them yet.
        changed: Describes the parameters and code of a data step that have changed since it ran.

    Returns:
        Artefacts that should be made again.
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
    """Describe changed parameters one by one: ``split.salt was 'a' and is 'b'``."""
    for where, one, other in differences(made, now, key):
        yield f"{where} was {_short(one)} and is {_short(other)}"


def changes(made: Mapping[str, Any], now: Mapping[str, Any], key: str = "", n_most: int = 5) -> str:
    """Describe changed parameters in few words: ``pretrain.seed 0 -> 3, pretrain.n_steps 6 -> 8``; empty for none."""
    said = [f"{where} {_short(one)} -> {_short(other)}" for where, one, other in differences(made, now, key)]
    return _some(said, n_most)


def differences(made: Mapping[str, Any], now: Mapping[str, Any], key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Name, earlier value and present value of each changed parameter. Another member of a union is one change."""
    for name in sorted({*made, *now}):
        one, other = made.get(name), now.get(name)
        where = f"{key}.{name}" if key else str(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            if one.get("name") != other.get("name"):
                yield f"{where}.name", one.get("name"), other.get("name")
            else:
                yield from differences(one, other, where)
        elif one != other:
            yield where, one, other


def _short(value: Any, n_most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= n_most else f"{text[:n_most]}…"
