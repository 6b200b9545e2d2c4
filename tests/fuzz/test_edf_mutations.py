"""Damaged EDF and BDF files that get in and are wrong. ``EEGFM_FUZZ=full`` runs 2,000 mutations in place of 500.

Every damaged file goes through a whole conversion, and what gets in is compared with the truth sample by sample. Three
settings: nothing is known of the file, its size and rate, its checksum. A file that the first setting rejects is
rejected by the others too, which only add checks.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from eegfm.jobs.ingest.convert import Converted, convert
from fuzz.edf_bases import Base, make_base, real_base
from fuzz.edf_mutations import KINDS, Mutated, draw_kind, mutate
from fuzz.edf_trial import Knowledge, Verdict, judge, task_of

N_MUTATIONS = 2000 if os.environ.get("EEGFM_FUZZ") == "full" else 250
PER_BASE = 12
MAX_S = 20.0
"""Longer than any conversion of so small a file takes on a busy machine."""
KNOWLEDGES: tuple[Knowledge, ...] = ("nothing", "size and rate", "checksum")


@dataclass
class Tally:
    """Verdicts by setting, and those worth reading."""

    by_kind: dict[Knowledge, Counter[tuple[str, str]]] = field(
        default_factory=lambda: {k: Counter() for k in KNOWLEDGES}
    )
    intact: Counter[str] = field(default_factory=Counter)
    wrong: dict[Knowledge, list[str]] = field(default_factory=lambda: {k: [] for k in KNOWLEDGES})
    timing: dict[Knowledge, list[str]] = field(default_factory=lambda: {k: [] for k in KNOWLEDGES})
    intact_rejected: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def add(self, seed: int, mutated: Mutated, knowledge: Knowledge, verdict: Verdict) -> None:
        line = f"{seed}: {mutated.kind}, {mutated.detail}: {verdict.outcome}, {verdict.why}"
        self.by_kind[knowledge][mutated.kind, verdict.outcome] += 1
        if verdict.outcome == "wrong":
            self.wrong[knowledge].append(line)
        if verdict.is_timing:
            self.timing[knowledge].append(line)
        if mutated.is_intact and knowledge == "nothing":
            self.intact[verdict.outcome] += 1
            if verdict.outcome == "rejected":
                self.intact_rejected.append(line)

    def show(self, knowledge: Knowledge) -> None:
        """Print the table of a setting; ``pytest -rP`` shows it."""
        outcomes = ("right", "shorter", "flagged", "rejected", "wrong")
        counts = self.by_kind[knowledge]
        rows = [f"{knowledge:14s}" + "".join(f"{outcome:>9s}" for outcome in outcomes)]
        rows += [f"{kind:14s}" + "".join(f"{counts[kind, outcome]:9d}" for outcome in outcomes) for kind in KINDS]
        sys.stdout.write("\n".join(rows) + "\n")


def mutations(folder: Path) -> Iterator[tuple[int, Base, Mutated]]:
    """Damaged files, each reproducible from its number alone."""
    for group in range(-(-N_MUTATIONS // PER_BASE)):
        base = make_base(np.random.default_rng([group]), folder)
        plus = base if base.has_onsets else next(b for b in _bases(group, folder) if b.has_onsets)
        for seed in range(group * PER_BASE, min((group + 1) * PER_BASE, N_MUTATIONS)):
            rng = np.random.default_rng([seed, 1])
            kind = draw_kind(rng)
            start = plus if kind == "gap" else base
            yield seed, start, mutate(start, kind, rng)


def leaves_no_trace(line: str) -> bool:
    """Whether samples were replaced by other samples: the file that results could have come from an amplifier."""
    return "data bits, " in line or "swap, blocks" in line


def _bases(group: int, folder: Path) -> Iterator[Base]:
    for i in range(100):
        yield make_base(np.random.default_rng([group, i]), folder)


@pytest.fixture(scope="module")
def tally(tmp_path_factory: pytest.TempPathFactory) -> Tally:
    folder, found = tmp_path_factory.mktemp("fuzz"), Tally()
    for seed, base, mutated in mutations(folder):
        for knowledge in KNOWLEDGES:
            started_s = time.perf_counter()
            verdict = judge(base, mutated, knowledge, folder)
            found.slowest_s = max(found.slowest_s, time.perf_counter() - started_s)
            found.add(seed, mutated, knowledge, verdict)
            if verdict.outcome == "rejected" and knowledge == "nothing":
                break
    return found


def test_intact_files_of_all_sorts_are_right(tmp_path: Path) -> None:
    kinds = Counter[tuple[int, bool]]()
    for group in range(30):
        base = make_base(np.random.default_rng([group]), tmp_path)
        kinds[base.bits, base.has_onsets] += 1
        whole = Mutated("none", "", base.data, base.suffix, True, base.onsets_s)
        for knowledge in KNOWLEDGES:
            assert judge(base, whole, knowledge, tmp_path).outcome == "right"
    assert len(kinds) == 4


def test_nothing_hangs(tally: Tally) -> None:
    assert sum(tally.by_kind["nothing"].values()) == N_MUTATIONS
    assert tally.slowest_s < MAX_S


def test_with_a_checksum_nothing_wrong_gets_in(tally: Tally) -> None:
    assert tally.wrong["checksum"] == []
    tally.show("checksum")


def test_with_size_and_rate_nothing_is_wrong_in_time(tally: Tally) -> None:
    assert tally.timing["size and rate"] == []
    tally.show("size and rate")


def test_without_knowledge_damage_that_leaves_a_trace_is_seen(tally: Tally) -> None:
    """At most one in a thousand gets in unflagged. Flipped bits and exchanged samples need a checksum: see above."""
    tally.show("nothing")
    wrong = [line for line in tally.wrong["nothing"] if not leaves_no_trace(line)]
    assert len(wrong) <= N_MUTATIONS / 1000, "\n".join(wrong)


def test_intact_signals_get_in(tally: Tally) -> None:
    n_intact = sum(tally.intact.values())
    assert n_intact > N_MUTATIONS / 8
    assert len(tally.intact_rejected) <= 0.02 * n_intact, "\n".join(tally.intact_rejected)
    assert set(tally.intact) <= {"right", "rejected"}, tally.intact


@pytest.mark.parametrize("name", ["ok.edf", "startdate_1985.edf"])
def test_damage_to_real_files_is_seen(shared_data: Path, tmp_path: Path, name: str) -> None:
    base = real_base(shared_data / "edf_corner_cases" / "derived" / name, n_records=20, rate_hz=160.0)
    found = Tally()
    for seed in range(N_MUTATIONS // 10):
        rng = np.random.default_rng([seed, 2])
        kind = draw_kind(rng)
        if base.has_onsets or kind != "gap":
            mutated = mutate(base, kind, rng)
            found.add(seed, mutated, "nothing", judge(base, mutated, "nothing", tmp_path))
    assert [line for line in found.wrong["nothing"] if not leaves_no_trace(line)] == []
    assert found.intact_rejected == []
    assert found.intact["right"] > 5


def test_the_judge_sees_wrong_samples_rates_and_times(tmp_path: Path) -> None:
    """The harness itself: what is wrong is called wrong."""
    base = next(b for b in _bases(0, tmp_path) if b.has_onsets and b.bits == 16)
    name = next(iter(base.truth_uv))
    whole = Mutated("none", "", base.data, base.suffix, True, base.onsets_s)
    louder = {**base.truth_uv, name: base.truth_uv[name] + 0.51 * base.step_uv[name]}
    late = tuple(t + 0.02 / base.rate_hz * (i > 3) for i, t in enumerate(base.onsets_s))
    for other, seen in (
        (vars(base) | {"truth_uv": louder}, whole),
        (vars(base) | {"truth_uv": {k: v for k, v in base.truth_uv.items() if k != name}}, whole),
        (vars(base) | {"rate_hz": base.rate_hz * 1.001}, whole),
        (vars(base), Mutated("none", "", base.data, base.suffix, True, late)),
        (vars(base) | {"onsets_s": (*base.onsets_s, 1e3)}, whole),
    ):
        assert judge(Base(**other), seen, "nothing", tmp_path).outcome == "wrong"


def test_the_path_of_a_trial_is_that_of_a_conversion(tmp_path: Path) -> None:
    base = make_base(np.random.default_rng([0]), tmp_path)
    path = tmp_path / f"x{base.suffix}"
    path.write_bytes(base.data)
    done = convert(task_of(base, path, "checksum"))
    assert isinstance(done, Converted)
    assert set(done.montage.channel_names) == set(base.truth_uv)
