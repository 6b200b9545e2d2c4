"""Pairs of neighbouring windows whose negatives are all of their own recording."""

import logging
from functools import partial

import numpy as np

from eegfm.errors import ConfigError
from eegfm.store.reader import SignalStore
from eegfm.training.pairings import WithinRecordingPairs
from eegfm.training.plans.pairs.dealt import DealtPairs
from eegfm.training.plans.pairs.matching import counted_up, salted
from eegfm.training.plans.pairs.neighbours import MAX_GAP, NeighbourMatching
from eegfm.training.plans.pairs.source import Batching, PairSource
from eegfm.training.plans.pairs.spread import too_wide
from eegfm.training.plans.pairs.stratum import Stratum
from eegfm.training.plans.pairs.unread import UnreadPairs
from eegfm.training.plans.permutation import Ints
from eegfm.training.plans.plan import Likeness

logger = logging.getLogger(__name__)


class WithinRecording:
    """Windows of one recording a few seconds apart; see ``WithinRecordingPairs``.

    Args:
        config: Its configuration.
    """

    remedy = (
        "lower pairs.moments, name a cut of shorter windows or a shorter stride in pairs.cut, such as "
        "{name: fixed, length_s: 2, stride_s: 1}, or set pairs.gap_s"
    )

    def __init__(self, config: WithinRecordingPairs) -> None:
        self.config = config

    def source(self, stratum: Stratum, store: SignalStore, batching: Batching) -> PairSource:
        """Batches of pairs of the stratum's windows; no sample is read before one is drawn.

        Raises:
            ConfigError: No two windows could ever be a pair.
        """
        gap, counts = self._gap(stratum, store.rate_hz), {"n_windows": len(stratum)}
        every = RecordingBatches(stratum, gap, self.config.moments, batching, counts)
        if self.config.max_spread is None:
            return every
        return UnreadPairs(every, partial(self._left, every, store, gap, batching, self.config.max_spread))

    def _left(
        self, every: "RecordingBatches", store: SignalStore, gap: tuple[int, int], batching: Batching, max_spread: float
    ) -> "RecordingBatches":
        """Read all samples: batches without windows of a large spread.

        Raises:
            ConfigError: They fill no batch.
            StoreError: Samples differ from their checksums.
        """
        wide = too_wide(every.stratum, store, max_spread)
        counts = {"n_windows": len(wide), "n_windows_of_large_spread": int(wide.sum())}
        left = RecordingBatches(every.stratum.only(~wide), gap, self.config.moments, batching, counts)
        said = ", ".join(f"{name} {n}" for name, n in left.counts.items())
        if every.n_batches and not left.n_batches and not batching.may_shrink:
            raise ConfigError(
                f"batch_size: a step takes {batching.n_pairs} pairs of {self.config.moments} in each of as many "
                f"recordings, and {left.name} has too few left without windows of a large spread ({said}); lower it, "
                "or raise pairs.max_spread"
            )
        logger.info("Pairs %s of %s that are left: %s", self.config.name, left.name, said)
        return left

    def _gap(self, stratum: Stratum, rate_hz: float) -> tuple[int, int]:
        """Samples from start to start, at least and at most."""
        length = stratum.n_samples
        if self.config.gap_s is None:
            return length, length + length // 2
        least_s, most_s = self.config.gap_s
        least = int(min(np.ceil(least_s * rate_hz - 1e-6), MAX_GAP))
        most = int(min(np.floor(most_s * rate_hz + 1e-6), MAX_GAP))
        if not self.config.allow_overlap:
            least = max(least, length)
        if most < max(least, 1):
            raise ConfigError(
                f"gap_s [{least_s:g}, {most_s:g}] leaves no pair of windows of {length / rate_hz:g} s "
                f"({stratum.name}) that do not overlap; {self.remedy}, or allow_overlap"
            )
        return max(least, 1), most


class RecordingBatches(DealtPairs):
    """Batches of R recordings with M moments each, two windows per moment.

    Windows of a recording are matched with neighbours anew in every pass, each in at most one pair. The pairs of a
    recording, in random order, make groups of M; what fills no group is left out of the pass. Groups are listed
    recording by recording, recordings in random order, and dealt out to the batches like cards: no batch has two of one
    recording. A recording has no more groups in a pass than there are batches. Within those bounds a pass has as many
    batches as can be.

    Args:
        stratum: The usable windows.
        gap: Samples between the starts of a pair, at least and at most.
        n_moments: Pairs of each recording in a batch.
        batching: Pairs of a batch, a multiple of the moments; and the seed.
        counts: Windows, and those that are of no use.
    """

    def __init__(
        self, stratum: Stratum, gap: tuple[int, int], n_moments: int, batching: Batching, counts: dict[str, int]
    ) -> None:
        assert batching.n_pairs % n_moments == 0, "a batch has whole groups"
        likeness = Likeness(stratum.recording, stratum.start, gap[1], stratum.recording, "within_recording")
        super().__init__(stratum, likeness, batching)
        self._n_moments = n_moments
        segments = stratum.segments()
        self._matching = NeighbourMatching(segments, stratum.start, *gap)
        recordings, self._recording = np.unique(stratum.recording, return_inverse=True)
        of_segment = self._recording[np.searchsorted(segments, np.arange(len(self._matching.n_pairs_of_segment)))]
        n_pairs = np.zeros(len(recordings), dtype=np.int64)
        np.add.at(n_pairs, of_segment, self._matching.n_pairs_of_segment)
        n_groups = n_pairs // n_moments
        self.n_pairs = int(n_groups.sum()) * n_moments
        n_able, n_wanted = int((n_groups > 0).sum()), batching.n_pairs // n_moments
        self._n_recordings = min(n_able, n_wanted) if batching.may_shrink else n_wanted
        self.n_batches = _most_batches(n_groups, self._n_recordings)
        self._quotas = np.minimum(n_groups, self.n_batches)
        self.batch_pairs = self._n_recordings * n_moments
        self.counts = {
            **counts,
            "n_recordings": len(recordings),
            "n_recordings_of_few_moments": len(recordings) - n_able,
            "n_windows_without_partner": len(stratum) - self._matching.n_windows,
            "n_pairs_beyond_groups": self._matching.n_pairs - self.n_pairs,
            "n_pairs": self.n_pairs,
            "n_pairs_beyond_batches": self.n_pairs - self.n_batches * self.batch_pairs,
        }

    def _deal(self, epoch: int, cycle: int) -> Ints:
        """See the base class; in a batch recording by recording, its moments in random order."""
        bits = self._batching.bits(epoch, cycle, self.name)
        pairs = np.stack(self._matching.draw(bits))
        place = np.argsort(np.argsort(bits.random_raw(len(self._quotas)), kind="stable"))
        turn = place[self._recording[pairs[0]]]
        pairs = pairs[:, np.argsort(salted(turn, bits), kind="stable")]
        n_pairs = np.bincount(turn, minlength=len(place))
        quotas = np.empty_like(self._quotas)
        quotas[place] = self._quotas * self._n_moments
        listed = pairs[:, counted_up(n_pairs) < np.repeat(quotas, n_pairs)]
        n_moments, n_batches, n_recordings = self._n_moments, self.n_batches, self._n_recordings
        dealt = listed[:, : n_batches * n_recordings * n_moments].reshape(2, n_recordings, n_batches, n_moments)
        return np.ascontiguousarray(dealt.swapaxes(1, 2).reshape(2, n_batches, n_recordings * n_moments))


def _most_batches(n_groups: Ints, n_recordings: int) -> int:
    """Largest number of batches, each with so many groups of different recordings."""
    if not n_recordings:
        return 0
    # min(n, K) summed over recordings, minus K n_recordings, is concave in K and 0 for K = 0: halving finds its last
    # K that is not negative.
    fits, beyond = 0, int(n_groups.sum()) // n_recordings + 1
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        if int(np.minimum(n_groups, middle).sum()) >= middle * n_recordings:
            fits = middle
        else:
            beyond = middle
    return fits
