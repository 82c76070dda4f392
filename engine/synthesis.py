"""Electronic music composed and played by program: drums, bass, chords and a lead at a known tempo, free of any licence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 44_100
STEPS = 16  # sixteenth notes of a pattern: a bar of four beats; longer bars begin it again
BARS = 4  # bars of one chord progression
Audio = NDArray[np.float32]

# One row a style: tempo range in BPM, then kick, snare and hat patterns, one character a sixteenth ("x" hit, "o" chance).
STYLES = {
    "house": ((116, 128), "x...x...x...x..o", "....x.......x...", "..x...x...x...xo"),
    "techno": ((126, 142), "x...x...x...x...", "............x..o", "x.x.x.x.x.x.x.xo"),
    "breaks": ((124, 140), "x.....x...x..o..", "....x..o....x..o", "x.x.x.x.x.x.x.x."),
    "drum and bass": ((166, 176), "x.........x.....", "....x.......x..o", "x.x.xox.x.x.xox."),
    "hip-hop": ((82, 98), "x......ox.x...o.", "....x.......x...", "x.x.x.x.x.x.x.xo"),
    "electro": ((108, 126), "x..x......x..o..", "....x.......x...", "xxx.xxx.xxx.xxxo"),
}
PROGRESSIONS = ((0, 5, 3, 4), (0, 3, 4, 3), (0, 6, 5, 4), (0, 2, 5, 3), (0, 0, 3, 5), (0, 4, 5, 3))
SCALES = ((0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 9, 10))
LAYERS = ("drums", "bass", "chords", "lead")


@dataclass(frozen=True)
class Piece:
    """A rendered piece: `audio` `[N, 2]` in [-1, 1], its tempo in beats a minute and its style."""

    audio: Audio
    bpm: float
    style: str


def single(values: Any) -> Audio:
    """The values in single precision."""
    return np.asarray(values, dtype=np.float32)


def seconds_of(length: float) -> Audio:
    """Time of each sample, `[N]` seconds."""
    return single(np.arange(max(1, int(length * RATE))) / RATE)


def kick(rng: np.random.Generator) -> Audio:
    """A sine that falls from `top` to `low` Hz: the phase is the integral of low + (top - low) exp(-t / fall)."""
    t, low, top, fall = seconds_of(0.35), rng.uniform(42, 60), rng.uniform(140, 420), rng.uniform(0.015, 0.05)
    phase = 2 * np.pi * (low * t + (top - low) * fall * (1 - np.exp(-t / fall)))
    click = rng.normal(size=len(t)).astype(np.float32) * np.exp(-t / 0.002) * rng.uniform(0, 0.4)
    return single((np.sin(phase) * np.exp(-t / rng.uniform(0.08, 0.2)) + click) * np.clip((0.35 - t) / 0.05, 0, 1))


def filtered_noise(rng: np.random.Generator, length: float, low: float, high: float, decay: float) -> Audio:
    """Noise between two frequencies in Hz that decays with time constant `decay` s."""
    t = seconds_of(length)
    X = np.fft.rfft(rng.normal(size=len(t)))
    f = np.fft.rfftfreq(len(t), 1 / RATE)
    X *= 1 / (1 + (low / np.maximum(f, 1)) ** 4) / (1 + (f / high) ** 4)
    noise = np.fft.irfft(X, len(t))
    fade = np.clip((length - t) / 0.05, 0, 1)
    return single(noise / max(1e-6, noise.std()) * 0.3 * np.exp(-t / decay) * fade)


def snare(rng: np.random.Generator) -> Audio:
    """Noise over a short tone; long noise makes it a clap."""
    noise = filtered_noise(rng, 0.3, rng.uniform(600, 1500), rng.uniform(6000, 14000), rng.uniform(0.04, 0.12))
    t = seconds_of(0.3)
    tone = np.sin(2 * np.pi * rng.uniform(160, 240) * t) * np.exp(-t / 0.05) * rng.uniform(0, 0.7)
    return single(noise + tone)


def hat(rng: np.random.Generator, is_open: bool) -> Audio:
    """Noise above 6 kHz, short or open."""
    decay = rng.uniform(0.08, 0.15) if is_open else rng.uniform(0.01, 0.04)
    return single(filtered_noise(rng, 0.3, rng.uniform(6000, 9000), 18000, decay) * 0.6)


def styles_at(bpm: float) -> list[str]:
    """The styles that are played at a tempo; where none is, the one whose range is nearest, as a ratio."""

    def off(style: str) -> float:
        (slow, fast), *_ = STYLES[style]
        return max(0.0, math.log(slow / bpm), math.log(bpm / fast))

    return [style for style in STYLES if off(style) == 0.0] or [min(STYLES, key=off)]


@lru_cache(maxsize=512)
def harmonics(count: int, odd: bool) -> NDArray[np.float32]:
    """Amplitudes of the first `count` harmonics of a sawtooth, or of a square wave where `odd`."""
    k = np.arange(1, count + 1)
    return single(np.where(odd & (k % 2 == 0), 0.0, 1 / k))


@dataclass(frozen=True)
class Voice:
    """A subtractive voice: a saw or square under a falling low-pass, in Hz and seconds."""

    odd: bool
    cutoff: float
    sweep: float
    fall: float
    attack: float
    release: float
    detune: float


def random_voice(rng: np.random.Generator, cutoff: tuple[float, float], attack: float, release: tuple[float, float]) -> Voice:
    """A voice drawn inside a role's ranges."""
    return Voice(
        bool(rng.random() < 0.4), math.exp(rng.uniform(*np.log(cutoff))), rng.uniform(0, 4), rng.uniform(0.03, 0.3),
        attack, rng.uniform(*release), rng.uniform(0, 0.006),
    )  # fmt: skip


def tone(voice: Voice, frequency: float, length: float, detune: float = 0.0) -> Audio:
    """One note `[N]`: harmonics k weighted by 1 / (1 + (k f / cutoff(t))^4), so that the filter closes as it sounds."""
    t = seconds_of(length + voice.release)
    f = frequency * (1 + detune)
    count = max(1, min(24, int(16_000 / f)))
    cutoff = voice.cutoff * (1 + voice.sweep * np.exp(-t / voice.fall))
    amplitudes = harmonics(count, voice.odd)
    out = np.zeros_like(t)
    unit = np.exp(2j * np.pi * f * t).astype(np.complex64)
    turn = unit.copy()
    for k in range(1, count + 1):
        if amplitudes[k - 1]:
            out += turn.imag * (amplitudes[k - 1] / (1 + (k * f / cutoff) ** 4)).astype(np.float32)
        turn *= unit
    gate = np.minimum(1, t / voice.attack) * np.clip((length + voice.release - t) / voice.release, 0, 1) ** 2
    return single(out * gate)


def add(track: Audio, at: int, sound: Audio, left: float, right: float) -> None:
    """Add a mono sound to `[N, 2]` at a sample, weighted for each side."""
    end = min(len(track), at + len(sound))
    if at < end:
        track[at:end] += sound[: end - at, None] * np.array([left, right], np.float32)


def hits(rng: np.random.Generator, pattern: str, steps: int = STEPS) -> list[int]:
    """The sixteenths on which a pattern sounds in a bar of so many."""
    marks = ((i, pattern[i % len(pattern)]) for i in range(steps))
    return [i for i, c in marks if c == "x" or (c == "o" and rng.random() < 0.4)]


class Composer:
    """One piece: its style, tempo, key, sounds and the arrangement of its bars."""

    def __init__(self, rng: np.random.Generator, bpm: float | None = None, beats_per_bar: int = 4) -> None:
        """bpm: its tempo; None draws one of the style's."""
        self.rng = rng
        self.style = str(rng.choice(list(STYLES) if bpm is None else styles_at(bpm)))
        (slow, fast), self.kicks, self.snares, self.hats = STYLES[self.style]
        self.bpm = float(rng.integers(slow, fast + 1)) if bpm is None else bpm
        self.step = 60 / self.bpm / 4
        self.steps = 4 * beats_per_bar
        self.swing = rng.uniform(0, 0.25) if rng.random() < 0.4 else 0.0
        self.root = int(rng.integers(33, 45))
        self.scale = SCALES[rng.integers(len(SCALES))]
        self.progression = PROGRESSIONS[rng.integers(len(PROGRESSIONS))]
        self.kick, self.snare = kick(rng), snare(rng)
        self.closed, self.open = hat(rng, False), hat(rng, True)
        self.bass = random_voice(rng, (150, 900), 0.004, (0.02, 0.08))
        self.pad = random_voice(rng, (400, 3000), float(rng.choice([0.005, 0.08])), (0.05, 0.4))
        self.pluck = random_voice(rng, (800, 5000), 0.003, (0.05, 0.3))
        self.bass_steps = sorted(rng.choice(self.steps, min(self.steps, int(rng.integers(3, 10))), replace=False).tolist())
        held, count = rng.random() < 0.4, self.steps
        self.stabs = [0] if held else sorted(rng.choice(count, min(count, int(rng.integers(2, 6))), replace=False).tolist())
        self.riff = [(int(s), int(rng.integers(0, 8))) for s in np.flatnonzero(rng.random(2 * count) < rng.uniform(0.15, 0.5))]
        self._sung: dict[tuple[Voice, float, float, float], Audio] = {}

    def pitch(self, degree: int, octave: int) -> float:
        """Frequency in Hz of a scale degree."""
        up, place = divmod(degree, len(self.scale))
        return float(440 * 2 ** ((self.root + self.scale[place] + 12 * (octave + up) - 69) / 12))

    def sample(self, bar: int, step: float) -> int:
        """First sample of a sixteenth; every second one is late by the swing."""
        late = self.swing if int(step) % 2 else 0.0
        return int((bar * self.steps + step + late) * self.step * RATE)

    def sung(self, voice: Voice, frequency: float, length: float, detune: float = 0.0) -> Audio:
        """`tone`, kept: bars come again."""
        key = (voice, frequency, length, detune)
        if key not in self._sung:
            self._sung[key] = tone(*key)
        return self._sung[key]

    def drums(self, track: Audio, bar: int) -> None:
        """One bar of drums."""
        kit = (
            (self.kick, self.kicks, 0.9, 0.0),
            (self.snare, self.snares, 0.6, 0.05),
            (self.closed, self.hats, 0.35, 0.25),
        )
        for sound, pattern, gain, side in kit:
            for step in hits(self.rng, pattern, self.steps):
                strength = gain * self.rng.uniform(0.75, 1.0)
                chosen = self.open if sound is self.closed and self.rng.random() < 0.1 else sound
                add(track, self.sample(bar, step), chosen, strength * (1 - side), strength * (1 + side))

    def notes(self, track: Audio, bar: int, layer: str) -> None:
        """One bar of bass, chords or lead."""
        chord = self.progression[bar % BARS]
        if layer == "bass":
            for step in self.bass_steps:
                degree = chord + int(self.rng.choice([0, 0, 0, 4, 7]))
                add(track, self.sample(bar, step), self.sung(self.bass, self.pitch(degree, 0), self.step * 1.5), 0.4, 0.4)
        elif layer == "chords":
            length = self.step * (self.steps if self.stabs == [0] else 2)
            for step in self.stabs:
                for degree in (chord, chord + 2, chord + 4, chord + 6):
                    for side in (-1, 1):
                        sound = self.sung(self.pad, self.pitch(degree, 1), length, side * self.pad.detune)
                        add(track, self.sample(bar, step), sound, 0.08 - 0.05 * side, 0.08 + 0.05 * side)
        else:
            for step, degree in self.riff:
                if step // self.steps == bar % 2:
                    pan = 0.5 * math.sin(step)
                    sound = self.sung(self.pluck, self.pitch(chord + degree, 2), self.step)
                    add(track, self.sample(bar, step % self.steps), sound, 0.2 * (1 - pan), 0.2 * (1 + pan))

    def duck(self, length: int) -> Audio:
        """Gain that dips on every beat, within 5 ms, `[length, 1]`: the pumping of a side chain."""
        phase = (np.arange(length) / RATE) % (4 * self.step)
        depth = self.rng.uniform(0.2, 0.8) if self.rng.random() < 0.5 else 0.0
        return single(1 - depth * np.exp(-phase / 0.08) * np.minimum(1, phase / 0.005))[:, None]


def echo(track: Audio, delay: int, feedback: float) -> Audio:
    """Ping-pong delay: every repeat changes sides."""
    out, wave = track.copy(), track
    for _ in range(3):
        wave = single(np.concatenate([np.zeros((delay, 2), np.float32), wave[:-delay, ::-1]]) * feedback)
        out += wave
    return out


def reverb(rng: np.random.Generator, track: Audio, seconds: float, wet: float) -> Audio:
    """Convolution with decaying noise, different on each side."""
    from scipy.signal import fftconvolve

    t = seconds_of(seconds)
    tail = rng.normal(size=(len(t), 2)) * np.exp(-5 * t / seconds)[:, None]
    tail /= np.sqrt((tail**2).sum(0))
    return single(track + wet * fftconvolve(track, tail, axes=0)[: len(track)])


def compose(
    rng: np.random.Generator,
    seconds: float,
    bpm: float | None = None,
    beats_per_bar: int = 4,
    always: tuple[str, ...] = (),
) -> Piece:
    """A piece of about `seconds` (whole progressions) in a random style, key and arrangement.

    bpm: its tempo, None for one of the style's. always: which of LAYERS play all the time; the others come and go.
    """
    c = Composer(rng, bpm, beats_per_bar)
    bar = c.steps * c.step
    bars = max(BARS, round(seconds / bar / BARS) * BARS)
    length = int(bars * bar * RATE)
    drums, rest = np.zeros((length, 2), np.float32), np.zeros((length, 2), np.float32)
    for section in range(0, bars, BARS):
        present = [layer for layer in LAYERS if rng.random() < 0.75 or layer in always] or ["drums"]
        for b in range(section, section + BARS):
            for layer in present:
                if layer == "drums":
                    c.drums(drums, b)
                else:
                    c.notes(rest, b, layer)
    wet = single(echo(rest, int(3 * c.step * RATE), rng.uniform(0, 0.4)) * c.duck(length))
    wet = reverb(rng, wet, rng.uniform(0.5, 2.5), rng.uniform(0, 0.35))
    mix = np.tanh(reverb(rng, drums, 0.4, rng.uniform(0, 0.15)) + wet * rng.uniform(0.5, 1.1))
    return Piece(single(mix / max(1.0, float(np.abs(mix).max()))), c.bpm, c.style)


def pieces(seed: int, minutes: float, seconds: float = 60.0) -> Iterator[Piece]:
    """Pieces of about `seconds` each until `minutes` are filled; the same seed gives the same pieces."""
    left, number = minutes * 60, 0
    while left > 0:
        piece = compose(np.random.default_rng([seed, number]), seconds)
        yield piece
        left, number = left - len(piece.audio) / RATE, number + 1
