"""Latents of whole songs, kept in memory and cut into windows, with the classes of the songs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor


class Latents:
    """Songs of latents out of safetensors files whose keys are `SONG/VARIANT` and whose values are `[C, T]`.

    classes: the class of each song that has one, as the files' metadata says under LABELS.
    Variants of one song (stem mixes, other speeds) count as the same song where another song is asked for.
    Raises `FileNotFoundError` where no variant is as long as a window, `ValueError` for tensors of different C, or of
    another C than `channels`, the generator's.
    """

    def __init__(self, files: Sequence[Path], frames: int, channels: int | None = None) -> None:
        from safetensors import safe_open

        self.frames = frames
        songs: dict[str, list[Tensor]] = defaultdict(list)
        labels: dict[str, str] = {}
        found: set[int] = set()
        for file in shards(files):
            with safe_open(file, "pt") as opened:
                labels |= json.loads((opened.metadata() or {}).get(LABELS, "{}"))
                for key in sorted(opened.keys()):
                    z = opened.get_tensor(key)  # mapped, not read: pages come when windows are cut
                    found.add(int(z.shape[0]))
                    if z.shape[-1] >= frames:
                        songs[key.split("/")[0]].append(z)
        sizes = sorted(found)
        if len(sizes) > 1:
            raise ValueError(f"latents: got {sizes} channels, allowed one number: encode all songs with the same codec")
        if channels is not None and sizes and sizes != [channels]:
            raise ValueError(
                f"latents: got {sizes[0]} channels for a generator of {channels}; encode with the codec that it was made for, "
                "or choose another recipe"
            )
        if not songs:
            names = ", ".join(map(str, files)) or "no file"
            raise FileNotFoundError(f"no latents of {frames} frames or more in {names}: run `segue train encode` first")
        self.songs = dict(sorted(songs.items()))
        self.classes = {name: labels[name] for name in self.songs if labels.get(name)}
        self.names = list(self.songs)
        seconds = [min(float(max(z.shape[-1] for z in variants)), LONGEST) for variants in self.songs.values()]
        self.chances = torch.tensor(seconds)

    @property
    def channels(self) -> int:
        """C of the latents."""
        return int(self.songs[self.names[0]][0].shape[0])

    def windows(self, count: int, generator: torch.Generator) -> Tensor:
        """`[count, C, frames]`: songs by length, then a variant and a place at random."""
        picks = torch.multinomial(self.chances, count, replacement=True, generator=generator).tolist()
        return torch.stack([self.window(self.names[i], generator) for i in picks])

    def drawn(self, generator: torch.Generator) -> tuple[str, Tensor]:
        """A song and a window of it `[C, frames]`: the draw of `windows` for one."""
        name = self.names[int(torch.multinomial(self.chances, 1, replacement=True, generator=generator))]
        return name, self.window(name, generator)

    def pairs(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two batches of windows, `[count, C, frames]` each, whose songs differ item by item. Needs two songs."""
        ours, theirs = [], []
        for _ in range(count):
            i, j = torch.multinomial(self.chances, 2, generator=generator).tolist()
            ours.append(self.window(self.names[i], generator))
            theirs.append(self.window(self.names[j], generator))
        return torch.stack(ours), torch.stack(theirs)

    def window(self, song: str, generator: torch.Generator) -> Tensor:
        """`[C, frames]` from anywhere in any variant of a song."""
        variants = self.songs[song]
        z = variants[_below(len(variants), generator)]
        first = _below(z.shape[-1] - self.frames + 1, generator)
        return z[:, first : first + self.frames].float()


LABELS = "labels"  # of a file's metadata: the classes of its songs, JSON


def shards(places: Sequence[Path]) -> list[Path]:
    """The files of latents among `places`, in a fixed order; a folder gives all that it holds. Raises FileNotFoundError."""
    for place in places:
        if not place.exists():
            raise FileNotFoundError(f"latents {place}: no such file or folder; make it with `segue train encode`")
    return [file for place in places for file in (sorted(place.glob("*.safetensors")) if place.is_dir() else [place])]


LONGEST = 43 * 240.0  # frames beyond which a song is not drawn more often


def _below(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
