"""Composes and synthesises the two clips of the demo, note by note, from oscillators and noise; nobody's recording is in them.

    python examples/make_clip.py [FOLDER]

Writes clip_a.flac (A minor) and clip_b.flac (E minor): 24 s each at 120 BPM, 44.1 kHz stereo. Bar lines fall every 88 200 frames.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

Audio = NDArray[np.float64]

RATE = 44_100
BPM = 120
BEAT = RATE * 60 // BPM  # frames
BAR = 4 * BEAT
BARS = 12
RMS = 10 ** (-17.2 / 20)  # of the whole clip: near -16 LUFS for this mix
CEILING = 0.89
FULL = 2**12 - 1  # 13 of the 16 bits: the noise floor stays near -80 dB, and the files get smaller


def seconds(length: int) -> Audio:
    return np.arange(length) / RATE


def hertz(note: float) -> float:
    """Frequency of a MIDI note."""
    return float(440 * 2 ** ((note - 69) / 12))


def band(x: Audio, low: float | None, high: float | None, order: int = 2) -> Audio:
    """Second-order low-, high- or band-pass between two frequencies in Hz."""
    edges, kind = ((low, high), "bandpass") if low and high else ((low, "highpass") if low else (high, "lowpass"))
    return np.asarray(sosfilt(butter(order, edges, kind, fs=RATE, output="sos"), x))


def envelope(length: int, attack: float, release: float, fall: float = 0.0) -> Audio:
    """Rises in `attack` seconds, decays by 1/e every `fall` seconds (0: holds), and closes in `release`."""
    t = seconds(length)
    shape = np.minimum(1, t / attack) * np.minimum(1, (t[-1] - t) / release)
    return np.asarray(shape * np.exp(-t / fall) if fall else shape)


def saw(frequency: float, length: int, bright: float, closing: float = 0.0, phase: float = 0.0) -> Audio:
    """Harmonics 1/k up to `bright` Hz with a soft edge; the edge falls by 1/e every `closing` seconds where given."""
    t, out = seconds(length), np.zeros(length)
    edge = bright * (np.exp(-t / closing) + 0.15) if closing else np.full(length, bright)
    for k in range(1, int(min(bright * 1.5, 11_000) / frequency) + 1):
        out += np.sin(2 * np.pi * k * (frequency * t + phase)) / k / (1 + (k * frequency / edge) ** 4)
    return out


def kick() -> Audio:
    t = seconds(BEAT * 3 // 4)
    sweep = 47 * t + 9.5 * (1 - np.exp(-t / 0.028))
    return np.sin(2 * np.pi * sweep) * envelope(len(t), 0.001, 0.02, 0.16) * 1.4


def clap(rng: np.random.Generator) -> Audio:
    length = BEAT // 2
    t, noise = seconds(length), band(rng.standard_normal(BEAT // 2), 900, 3800)
    bursts = sum(np.where(t >= d, np.exp(-np.maximum(t - d, 0) / f), 0) for d, f in ((0, 0.004), (0.011, 0.004), (0.022, 0.06)))
    return noise * bursts * envelope(length, 0.0005, 0.02) * 0.8


def snare(rng: np.random.Generator) -> Audio:
    length = BEAT // 2
    t = seconds(length)
    tone = np.sin(2 * np.pi * (185 * t + 1.2 * (1 - np.exp(-t / 0.01)))) * envelope(length, 0.001, 0.02, 0.06)
    return 0.6 * tone + 0.5 * band(rng.standard_normal(length), 1500, 7500) * envelope(length, 0.001, 0.02, 0.07)


def hat(rng: np.random.Generator, fall: float) -> Audio:
    length = BEAT // 2
    return band(rng.standard_normal(length), 7200, 12_000) * envelope(length, 0.0005, 0.01, fall) * 0.5


def bass(note: float, length: int) -> Audio:
    fundamental = 0.7 * np.sin(2 * np.pi * hertz(note) * seconds(length))
    return (saw(hertz(note), length, 900, 0.12) + fundamental) * envelope(length, 0.004, 0.03)


def pluck(note: float, length: int) -> Audio:
    """Two-operator FM, bell-like: the index falls faster than the level."""
    t, f = seconds(length), hertz(note)
    turn = 2 * np.pi * f * t
    return np.sin(turn + 3.2 * np.exp(-t / 0.07) * np.sin(3.01 * turn)) * envelope(length, 0.002, 0.05, 0.22)


def organ(note: float, length: int) -> Audio:
    """Drawbars 1, 2, 3, 4, 6 with a click at the start."""
    t, f = seconds(length), hertz(note)
    bars = sum(a * np.sin(2 * np.pi * n * f * t) for n, a in ((1, 1.0), (2, 0.6), (3, 0.5), (4, 0.25), (6, 0.2)))
    return bars * envelope(length, 0.003, 0.06, 0.35)


def lead(note: float, length: int) -> Audio:
    """A square-like tone with late vibrato."""
    t = seconds(length)
    turn = hertz(note) * (t + 0.0007 * np.minimum(1, t / 0.3) * np.sin(2 * np.pi * 5.2 * t))
    return sum(np.sin(2 * np.pi * k * turn) / k for k in (1, 3, 5, 7)) * envelope(length, 0.012, 0.08)


def pad(chord: Sequence[float], length: int, side: int) -> Audio:
    """Detuned saws; the two sides are detuned in opposite ways, so the pad is wide."""
    voices = [
        saw(hertz(n + side * cents / 100), length, 1400 + 250 * side, phase=0.37 * i + 0.11 * cents)
        for i, n in enumerate(chord)
        for cents in (-7, 5)
    ]
    return np.asarray(np.sum(voices, axis=0) * envelope(length, 0.25, 0.3))


class Mixer:
    """A stereo tape of fixed length; what runs past its end comes round to the beginning, so the clip also loops."""

    def __init__(self) -> None:
        self.tape = np.zeros((2, BARS * BAR))

    def add(self, sound: Audio, frame: int, gain: float = 1.0, pan: float = 0.0) -> None:
        """pan -1 is left, 1 is right, at equal power."""
        places = np.arange(frame, frame + len(sound)) % self.tape.shape[1]
        angle = (pan + 1) * np.pi / 4
        self.tape[:, places] += gain * np.sqrt(2) * np.array([[np.cos(angle)], [np.sin(angle)]]) * sound


def ducked(tape: Audio, depth: float) -> Audio:
    """Makes room for the kick on every beat."""
    t = (np.arange(tape.shape[1]) % BEAT) / RATE
    return np.asarray(tape * (1 - depth * np.exp(-t / 0.09)))


def room(tape: Audio, rng: np.random.Generator, fall: float, high: float) -> Audio:
    """A reverberation of band-limited noise that decays; circular like the tape."""
    t = seconds(int(4 * fall * RATE))
    wet = [fftconvolve(np.tile(x, 2), band(rng.standard_normal(len(t)), 250, high) * np.exp(-t / fall)) for x in tape]
    length = tape.shape[1]
    return np.stack([w[length : 2 * length] for w in wet]) / 60


def echo(tape: Audio, delay: int, feedback: float) -> Audio:
    """Repeats that change sides."""
    out, gain = tape.copy(), feedback
    for n in range(1, 5):
        out += gain * np.roll(tape[:: (-1) ** n], n * delay, axis=1)
        gain *= feedback
    return out


def steps(pattern: str) -> list[int]:
    """Which sixteenths of a bar are struck."""
    return [i for i, c in enumerate(pattern) if c != "."]


def clip_a(rng: np.random.Generator) -> Audio:
    """A minor, four on the floor: bells over a saw pad."""
    drums, low, wide, bells = Mixer(), Mixer(), Mixer(), Mixer()
    roots, chords = (33, 29, 36, 31), ((57, 60, 64, 71), (57, 60, 65, 67), (55, 60, 64, 67), (55, 59, 62, 69))
    sixteenth = BEAT // 4
    for bar in range(BARS):
        at, root, chord = bar * BAR, roots[bar % 4], chords[bar % 4]
        for beat in range(4):
            drums.add(kick(), at + beat * BEAT)
            drums.add(hat(rng, 0.05), at + beat * BEAT + BEAT // 2, 0.5, 0.2)
        for s in steps("....x.......x..x" if bar % 4 == 3 else "....x.......x..."):
            drums.add(clap(rng), at + s * sixteenth, 0.55)
        for s in steps("x.xx..x.x.xx..x."):
            drums.add(hat(rng, 0.018), at + s * sixteenth, 0.2 + 0.08 * (s % 3), -0.25)
        for s in steps("..x..xx...x..xx."):
            low.add(bass(root + (12 if s == 13 else 0), sixteenth * 3 // 2), at + s * sixteenth, 0.5)
        for side in (-1, 1):
            wide.add(pad(chord, BAR + BEAT // 2, side), at, 0.032, 0.8 * side)
        if bar >= 2:
            for i, s in enumerate(steps("x..x..x.x..x..x.")):
                note = chord[(i * 3 + bar) % 4] + 12 * (1 + (i + bar) % 2)
                bells.add(pluck(note, BEAT * 2), at + s * sixteenth, 0.16, 0.5 * (-1) ** i)
    melody = ((0, 76, 3), (3, 74, 1), (4, 72, 2), (6, 71, 2), (8, 69, 5), (14, 67, 2), (16, 69, 3), (19, 72, 1), (20, 74, 8))
    for start, note, length in melody:
        bells.add(lead(note, length * BEAT // 2), 8 * BAR + start * BEAT // 2, 0.1)
    music = ducked(wide.tape, 0.75) + ducked(low.tape, 0.5) + echo(bells.tape, 3 * sixteenth, 0.35)
    return drums.tape + music + room(wide.tape + bells.tape, rng, 0.5, 5000)


def clip_b(rng: np.random.Generator) -> Audio:
    """E minor, a broken beat: organ stabs over a rolling bass."""
    drums, low, stabs, wide = Mixer(), Mixer(), Mixer(), Mixer()
    roots, chords = (28, 36, 31, 38), ((55, 59, 64, 66), (55, 60, 64, 67), (55, 59, 62, 66), (54, 57, 62, 69))
    sixteenth = BEAT // 4
    for bar in range(BARS):
        at, root, chord = bar * BAR, roots[bar % 4], chords[bar % 4]
        for s in steps("x.....x...x....." if bar % 2 else "x.........x..x.."):
            drums.add(kick(), at + s * sixteenth)
        for s in steps("....x.......x.x." if bar % 4 == 3 else "....x.......x..."):
            drums.add(snare(rng), at + s * sixteenth, 0.7)
        for s in range(16):
            drums.add(hat(rng, 0.02 if s % 4 else 0.04), at + s * sixteenth, 0.3 if s % 2 else 0.18, 0.3 * (-1) ** s)
        for s in steps("x..x..x.x.xx..x."):
            low.add(bass(root + (12, 0, 7, 0)[s % 4], sixteenth), at + s * sixteenth, 0.5)
        for s in steps("...x..x....x..x."):
            for i, note in enumerate(chord):
                stabs.add(organ(note, sixteenth * 3), at + s * sixteenth, 0.085, (i - 1.5) / 2.5)
        for side in (-1, 1):
            wide.add(pad([chord[0] - 12, *chord[1:3]], BAR + BEAT // 2, side), at, 0.025, 0.9 * side)
    for i in range(BARS * 4):
        if i % 8 in (3, 4, 6):
            stabs.add(pluck(76 + (0, 3, 7, 10, 12)[i % 5], BEAT), i * BEAT + BEAT // 2, 0.14, 0.6 * (-1) ** i)
    high = stabs.tape + wide.tape
    return drums.tape + low.tape + echo(stabs.tape, 3 * sixteenth, 0.3) + wide.tape + room(high, rng, 0.35, 4000)


def mastered(tape: Audio) -> NDArray[np.int16]:
    """At the level RMS, with a soft ceiling; as 16-bit frames [n, 2]."""
    tape = band(tape, 28, None)
    for _ in range(4):  # the ceiling takes a little level each time
        tape = CEILING * np.tanh(tape * (RMS / np.sqrt(np.mean(tape**2))) / CEILING)
    return (np.round(tape.T * FULL) * (2**15 // (FULL + 1))).astype(np.int16)


CLIPS: dict[str, Callable[[np.random.Generator], Audio]] = {"clip_a": clip_a, "clip_b": clip_b}


def main(folder: Path) -> None:
    for seed, (name, compose) in enumerate(CLIPS.items()):
        frames = mastered(compose(np.random.default_rng(seed)))
        soundfile.write(folder / f"{name}.flac", frames, RATE, subtype="PCM_16", format="FLAC", compression_level=1.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
