"""Claps in sound: a sudden, bright burst that is gone at once. Pure: blocks of samples in, times of double claps out."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.controls.pair import PairFinder, Pairing, Stroke

Floats = npt.NDArray[np.floating[Any]]

HOP_S = 0.005
"""One measurement of the sound each."""
MEMORY_S = 4.0
"""How far back the sound around is known: longer than a pause between two sentences."""


@dataclass(frozen=True)
class ClapShape:
    """What tells a clap from voices, music and things put down. Levels in dB of full scale."""

    bright_hz: float = 2000.0
    """Above it lies most of a clap's sound and little of a vowel's or a thump's."""
    rise_db: float = 14.0
    """So far above the loudest of the 30 ms before, in one or two measurements: an s or a violin takes longer."""
    above_noise_db: float = 15.0
    """So far above the quiet of the last `MEMORY_S`."""
    above_loud_db: float = 6.0
    """And so far above all but the loudest 15 % of the whole sound of that time: a t or a hi-hat is as short and as bright as
    a clap, but no louder than the voice or the music it belongs to."""
    fall_db: float = 10.0
    fall_s: float = 0.09
    """It has to fall by that within this time, also in a room that echoes for half a second."""
    bright_share: float = 0.4
    """Of the energy at the peak, above `bright_hz`."""
    least_dbfs: float = -45.0
    """A quieter one was meant for somebody else."""


@dataclass
class _Hop:
    t_ns: int
    bright_db: float
    whole_db: float
    share: float


class ClapDetector:
    """Feed it sound block by block, in order; it remembers `MEMORY_S`.

    It answers about 0.7 s after the second clap, once it is sure that there is no third.
    """

    def __init__(self, rate_hz: int = 16_000, shape: ClapShape | None = None, pairing: Pairing | None = None) -> None:
        if rate_hz < 8000:
            raise ValueError(f"claps need sound at 8000 Hz or more, got {rate_hz}")
        self._rate_hz, self._shape = rate_hz, shape or ClapShape()
        self._hop = round(HOP_S * rate_hz)
        self._window = np.hanning(2 * self._hop)
        self._bright = np.fft.rfftfreq(2 * self._hop, 1 / rate_hz) >= self._shape.bright_hz
        self._rest = np.zeros(0)
        self._hops: deque[_Hop] = deque(maxlen=round(MEMORY_S / HOP_S))
        self._peak: _Hop | None = None
        self._pairs = PairFinder(pairing)

    def feed(self, t_ns: int, samples: Floats) -> list[int]:
        """One block of mono sound in -1..1, shape (N,), that ended at `t_ns`; returns the times of the double claps now known."""
        sound = np.concatenate([self._rest, np.asarray(samples, np.float64).reshape(-1)])
        sound[~np.isfinite(sound)] = 0.0
        count = max(len(sound) // self._hop - 1, 0)
        if count == 0:
            self._rest = sound
            return []
        windows = np.lib.stride_tricks.sliding_window_view(sound, 2 * self._hop)[:: self._hop][:count] * self._window  # (hops, window)
        power = np.abs(np.fft.rfft(windows, axis=1)) ** 2 / (self._window.sum() / 2) ** 2 / 2
        bright, whole = power[:, self._bright].sum(1), power[:, 1:].sum(1)
        bright_db, whole_db, share = 10 * np.log10(bright + 1e-12), 10 * np.log10(whole + 1e-12), bright / (whole + 1e-15)
        self._rest = sound[count * self._hop :]
        end_ns = t_ns - round(len(self._rest) * 1e9 / self._rate_hz) + round(HOP_S * 1e9)  # the middle of the window after the last
        found = []
        for i in range(count):
            hop = _Hop(end_ns - (count - i) * round(HOP_S * 1e9), float(bright_db[i]), float(whole_db[i]), float(share[i]))
            self._look(hop)
            if (pair := self._pairs.found(hop.t_ns)) is not None:
                found.append(pair)
        return found

    def _look(self, hop: _Hop) -> None:
        shape, hops = self._shape, self._hops
        if self._peak is None:
            if len(hops) > 8 and self._rises(hop):
                self._peak = hop
        elif hop.bright_db > self._peak.bright_db and hop.t_ns - self._peak.t_ns <= 2.1 * HOP_S * 1e9:
            self._peak = hop
        elif hop.t_ns - self._peak.t_ns >= shape.fall_s * 1e9:
            recent = [h.bright_db for h in [*hops, hop][-3:]]
            loud_db = float(np.quantile([h.whole_db for h in hops], 0.85))
            if (self._peak.bright_db - max(recent) >= shape.fall_db and self._peak.share >= shape.bright_share
                    and self._peak.bright_db - loud_db >= shape.above_loud_db):
                self._pairs.add(Stroke(self._peak.t_ns, self._peak.bright_db))
            self._peak = None
        hops.append(hop)

    def _rises(self, hop: _Hop) -> bool:
        if hop.bright_db < self._shape.least_dbfs:
            return False
        before_db = max(self._hops[i].bright_db for i in range(-8, -2))  # the hop just before may hold the clap's first half
        if hop.bright_db - before_db < self._shape.rise_db:
            return False
        quiet_db = float(np.quantile([h.bright_db for h in self._hops], 0.3))
        return hop.bright_db - quiet_db >= self._shape.above_noise_db
