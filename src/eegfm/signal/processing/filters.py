"""Filter and resample signals block by block: band-pass, notch, anti-aliasing and exact resampling in one FFT.

The method is overlap-save. Each block is transformed once, multiplied by one real response, cut or extended to the bins
of the output rate, and transformed back. Transform lengths N = k*down (input) and M = k*up (output) make the ratio of
the rates exact, so the time axis does not drift. A real response makes the phase exactly zero. If the ratio can only be
approximated, each block is shifted to its true position. ``eegfm.signal.processing.kernels`` gives the response.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import fft

from eegfm.signal.config import SignalParams
from eegfm.signal.processing.kernels import band_kernels
from eegfm.signal.rates import exact_fraction, simplest_between

ReadBlock = Callable[[int, int], NDArray[np.float32]]
"""``read(start, stop)`` returns (C, stop - start) microvolts; called once per sample, in order."""

# Largest denominator of the ratio of the rates without a shift. A block has at least three denominators.
MAX_DENOMINATOR = 10_000
# Largest drift without a shift, in samples. At 100 Hz, 45 Hz of 100 uV changes by 0.1 uV over such a drift.
MAX_DRIFT_SAMPLES = 3e-4
# Largest denominator with a shift. Blocks of three denominators take 30 MB at 20 channels; hardly any ratio needs them.
MAX_SHIFTED_DENOMINATOR = 125_000
# Largest drift between the middle and the end of a shifted block, in samples. A slope corrects it to 0.01 uV.
MAX_REST_SAMPLES = 5e-3
# Block length in overlaps: long enough that the overlap costs little, short enough for the L2 cache.
OVERLAP_BLOCKS = 6
ROWS_PER_TRANSFORM = 8
# scipy transforms this many rows at once with SIMD. Each remaining row costs as much as a whole group.
SIMD_ROWS = 4
# Above this number of channels, filling the last SIMD group with extra rows costs less than a larger buffer.
MAX_CHANNELS_TO_BATCH = 32


@dataclass(frozen=True)
class _Plan:
    """Geometry: ``n_batch`` overlapping blocks, lengths in units of ``down`` input and ``up`` output samples.

    ``slip`` is the delay of an output sample without shifts, as a fraction of its distance from the first sample.
    """

    up: int
    down: int
    n_guard: int
    n_valid: int
    n_batch: int
    slip: float

    @property
    def n_units(self) -> int:
        """Length of one block, and of its transform."""
        return self.n_valid + 2 * self.n_guard

    @property
    def n_held(self) -> int:
        """Input samples that all blocks of a batch cover together."""
        return (self.n_batch * self.n_valid + 2 * self.n_guard) * self.down


class BlockResampler:
    """Filter and resample a signal of any length in blocks of fixed size.

    Output sample k lies k / rate_hz seconds after the first input sample. Edges are continued by odd reflection, as in
    MNE. The input must be finite.

    Args:
        rate_in_hz: Rate of the input; a fraction is taken as it is.
        params: Band, notch and output rate.
        n_channels: Number of channels C.
        block_samples: Least number of new input samples per block; chosen for speed if not given.

    Raises:
        ConfigError: The band does not fit below half the output rate.
        RecordingError: The band does not fit below half the input rate (``rate_too_low``).
    """

    def __init__(
        self, rate_in_hz: float | Fraction, params: SignalParams, n_channels: int, block_samples: int | None = None
    ) -> None:
        exact_in_hz = rate_in_hz if isinstance(rate_in_hz, Fraction) else exact_fraction(rate_in_hz)
        self._ratio = exact_fraction(params.rate_hz) / exact_in_hz
        self._rate_in_hz = float(rate_in_hz)
        self._n_channels = n_channels
        self._kernels = band_kernels(self._rate_in_hz, params)
        self._block_samples = block_samples
        self._responses: dict[_Plan, NDArray[np.float32]] = {}

    def n_out(self, n_in: int) -> int:
        """Number of output samples for a number of input samples: all that lie between the first and the last."""
        return int((n_in - 1) * self._ratio) + 1 if n_in else 0

    @property
    def n_between_cuts(self) -> int:
        """Input samples between two instants that both rates share. A signal cut at such instants loses no time.

        The value is 1 if they are more than a second apart.
        """
        denominator = self._ratio.limit_denominator(MAX_SHIFTED_DENOMINATOR).denominator
        return denominator if denominator <= self._rate_in_hz else 1

    def blocks(self, read: ReadBlock, n_in: int) -> Iterator[NDArray[np.float32]]:
        """Filter ``n_in`` samples.

        Args:
            read: Source of the samples; called for consecutive stretches that do not overlap.
            n_in: Number of input samples.

        Yields:
            (T, C) microvolts, time-major; ``n_out(n_in)`` samples altogether.
        """
        plan, response = self._prepare(n_in)
        n_out, n_new = self.n_out(n_in), plan.n_batch * plan.n_valid * plan.up
        n_rows = -(-self._n_channels * plan.n_batch // SIMD_ROWS) * SIMD_ROWS // plan.n_batch
        held = np.zeros((n_rows, plan.n_held), dtype=np.float32)
        feed = _Feed(read, n_in, held[: self._n_channels], plan.n_guard * plan.down)
        for batch in range(-(-n_out // n_new)):
            feed.advance((batch * plan.n_batch * plan.n_valid - plan.n_guard) * plan.down)
            yield self._transform(held, plan, response, batch * n_new, min(n_new, n_out - batch * n_new))

    def _prepare(self, n_in: int) -> tuple[_Plan, NDArray[np.float32]]:
        """Geometry and response for a signal of this length. A short signal gets a short transform."""
        half = sum(kernel.size // 2 for kernel in self._kernels)
        wanted = self._block_samples or OVERLAP_BLOCKS * 2 * half
        n_batch = SIMD_ROWS // math.gcd(self._n_channels, SIMD_ROWS)
        if self._n_channels > MAX_CHANNELS_TO_BATCH or n_in < n_batch * wanted:
            n_batch = 1
        ratio, slip = self._ratio_over(n_in, wanted)
        # Shifted blocks need more samples on both sides.
        half += math.ceil(abs(slip) * n_in)
        plan = _plan(ratio, slip, half, min(wanted, max(n_in, 1)), n_batch)
        if plan not in self._responses:
            self._responses[plan] = _response(self._kernels, plan)
        return plan, self._responses[plan]

    def _transform(
        self, held: NDArray[np.float32], plan: _Plan, response: NDArray[np.float32], n_before: int, n_keep: int
    ) -> NDArray[np.float32]:
        n_full, first, n_new = plan.n_units * plan.up, plan.n_guard * plan.up, plan.n_valid * plan.up
        blocks = sliding_window_view(held, plan.n_units * plan.down, axis=1)[:, :: plan.n_valid * plan.down]
        blocks = blocks[:, : -(-n_keep // n_new)]
        out = np.empty((self._n_channels, blocks.shape[1], n_new), dtype=np.float32)
        shift = _Shift(plan, n_before, blocks.shape[1], response.size) if plan.slip else None
        n_at_once = max(ROWS_PER_TRANSFORM // plan.n_batch, 1)
        for top in range(0, self._n_channels, n_at_once):
            kept = fft.rfft(blocks[top : top + n_at_once], workers=1)[..., : response.size]
            kept *= response
            rows = out[top : top + n_at_once]
            if shift is not None:
                rows[:] = shift.signal(kept)[: len(rows)]
                continue
            signal = fft.irfft(kept, n=n_full, overwrite_x=True, workers=1)
            rows[:] = signal[: len(rows), :, first : first + n_new]
        return out.reshape(self._n_channels, -1)[:, :n_keep].T

    def _ratio_over(self, n_in: int, block_samples: int) -> tuple[Fraction, float]:
        """A fraction for the ratio of the rates over this length, and its slip (0 if the drift is invisible).

        A ratio that is close to no small fraction gets the smallest fraction whose drift within a block can be
        corrected. Large denominators need long blocks and slow transforms.
        """
        tolerance = min(Fraction(MAX_DRIFT_SAMPLES) / max(n_in, 1), self._ratio / 2)
        ratio = simplest_between(self._ratio - tolerance, self._ratio + tolerance)
        if ratio.denominator <= MAX_DENOMINATOR:
            return ratio, 0.0
        limits = (*(1 << bits for bits in range(6, 17)), MAX_SHIFTED_DENOMINATOR)
        rests = {r: self._rest(r, block_samples) for r in map(self._ratio.limit_denominator, limits)}
        small = next((r for r, rest in rests.items() if rest <= MAX_REST_SAMPLES), None)
        ratio = small or min(rests, key=lambda r: rests[r])
        return ratio, float((self._ratio - ratio) / self._ratio)

    def _rest(self, ratio: Fraction, block_samples: int) -> float:
        """Output samples by which a fraction drifts between the middle and the end of a block."""
        return float(abs(self._ratio - ratio) * max(block_samples, 3 * ratio.denominator) / 2)


class _Shift:
    """Shifts the blocks of a batch to their true positions if the ratio of the rates is not exactly up/down.

    The middle of each block is exact, by a rotation of its spectrum. Towards the ends, the rest (under a hundredth of a
    sample) is corrected with the slope.

    Args:
        plan: The geometry.
        n_before: Output samples before this batch.
        n_blocks: Blocks of this batch.
        n_bins: Number of bins of the spectra.
    """

    def __init__(self, plan: _Plan, n_before: int, n_blocks: int, n_bins: int) -> None:
        self._n_full, n_new = plan.n_units * plan.up, plan.n_valid * plan.up
        self._kept = slice(plan.n_guard * plan.up, plan.n_guard * plan.up + n_new)
        self._slopes = 2j * np.pi * np.arange(n_bins) / self._n_full
        middles = n_before + n_new * np.arange(n_blocks)[:, None] + (n_new - 1) / 2
        self._turns = np.exp(-plan.slip * middles * self._slopes).astype(np.complex64)
        self._rests = (-plan.slip * (np.arange(n_new) - (n_new - 1) / 2)).astype(np.float32)

    def signal(self, spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
        """(C, B, T) new samples of the blocks with these (C, B, K) spectra."""
        turned = spectra * self._turns
        slopes = fft.irfft(turned * self._slopes.astype(np.complex64), n=self._n_full, workers=1)[..., self._kept]
        signal: NDArray[np.float32] = fft.irfft(turned, n=self._n_full, workers=1)[..., self._kept]
        signal += self._rests * slopes
        return signal


class _Feed:
    """Reads every sample once, keeps the overlap with the next batch, and continues the edges.

    The first sample of each channel is subtracted. The band-pass removes a constant exactly, and single precision keeps
    more digits without it.

    Args:
        read: Source of the samples.
        n_in: Number of samples.
        held: (C, N) buffer for the samples.
        n_guard: Number of samples by which the signal is continued on either side.
    """

    def __init__(self, read: ReadBlock, n_in: int, held: NDArray[np.float32], n_guard: int) -> None:
        self._read = read
        self._n_in = n_in
        self._held = held
        self._n_guard = n_guard
        self._start = 0
        self._n_read = 0
        self._origin = np.zeros((len(held), 1), dtype=np.float32)

    def advance(self, start: int) -> None:
        """Hold samples [start, start + N); ``start`` never decreases."""
        held, n = self._held, self._held.shape[1]
        first, stop = self._n_read - start, min(n, self._n_in - start)
        if self._n_read:
            # Near its end the input does not fill the buffer. Only the previous start tells the position of a sample.
            shift = start - self._start
            held[:, :first] = held[:, shift : shift + first]
        self._start = start
        if first < stop:
            new = self._read(self._n_read, start + stop)
            if not self._n_read:
                self._origin = new[:, :1].copy()
            np.subtract(new, self._origin, out=held[:, first:stop])
            self._n_read = start + stop
        self._reflect(max(-start, 0), stop)

    def _reflect(self, first: int, stop: int) -> None:
        """Continue samples [first, stop) on both sides. Samples further outside reach no output."""
        held, after = self._held, min(stop + self._n_guard, self._held.shape[1])
        if first:
            mirror = np.minimum(2 * first - np.arange(first), stop - 1)
            held[:, :first] = 2 * held[:, first : first + 1] - held[:, mirror]
        if stop < after:
            mirror = np.maximum(2 * (stop - 1) - np.arange(stop, after), first)
            held[:, stop:after] = 2 * held[:, stop - 1 : stop] - held[:, mirror]


def _plan(ratio: Fraction, slip: float, half_kernel: int, n_new: int, n_batch: int) -> _Plan:
    """Choose block lengths whose transforms are fast at both rates."""
    up, down = ratio.numerator, ratio.denominator
    n_guard = -(-half_kernel // down)
    n_units = fft.next_fast_len(-(-n_new // down) + 2 * n_guard, real=True)
    return _Plan(up, down, n_guard, n_units - 2 * n_guard, n_batch, slip)


def _response(kernels: tuple[NDArray[np.float64], ...], plan: _Plan) -> NDArray[np.float32]:
    """Real response of the centred kernels at the bins that both rates share, times M / N."""
    n_in, n_out = plan.n_units * plan.down, plan.n_units * plan.up
    response = np.ones(n_in // 2 + 1)
    for kernel in kernels:
        centred = np.zeros(n_in)
        centred[: kernel.size] = kernel
        response *= fft.rfft(np.roll(centred, -(kernel.size // 2))).real
    kept = response[: min(n_in, n_out) // 2 + 1] * (n_out / n_in)
    if n_in != n_out and min(n_in, n_out) % 2 == 0:
        # The bin at half the lower rate stands for two frequencies, so it belongs to neither rate's band.
        kept[-1] = 0.0
    return kept.astype(np.float32)
