"""Preparing audio: what is kept, what is left out and why, how it is split, and what clips and music are made of it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from segue.engine.synthesis import STYLES, compose, pieces
from segue.train.clips import LEVEL_DB, Library
from segue.train.data import (
    RATE,
    REFERENCE_LUFS,
    k_weighted,
    loudness,
    open_entry,
    prepare,
    prepare_synthesis,
    read_index,
    split_of,
)


def tone(seconds: float, rate: int = RATE, level: float = 0.1, frequency: float = 997.0) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * frequency * t))[:, None].repeat(2, axis=1).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "mine"
    (place / "sub").mkdir(parents=True)
    soundfile.write(place / "good.wav", tone(2), RATE)
    soundfile.write(place / "sub" / "mono48.flac", tone(2, 48_000)[:, :1], 48_000)
    soundfile.write(place / "song.drums.wav", tone(2, frequency=200), RATE)
    soundfile.write(place / "song.synths.wav", tone(2, frequency=400), RATE)
    soundfile.write(place / "tiny.wav", tone(0.2), RATE)
    soundfile.write(place / "silent.wav", np.zeros((2 * RATE, 2)), RATE)
    soundfile.write(place / "slow.wav", tone(2, 4_000), 4_000)
    (place / "broken.wav").write_bytes(b"RIFF not audio at all")
    (place / "empty.mp3").write_bytes(b"")
    (place / "notes.txt").write_text("not audio")
    return place


def test_bad_files_are_skipped_with_the_reason(folder: Path, tmp_path: Path) -> None:
    lines = list(prepare(folder, tmp_path / "out"))
    assert set(read_index(tmp_path / "out")) == {"mine--good", "mine--sub--mono48", "mine--song.drums", "mine--song.synths"}
    skipped = {line.split(":")[0].removeprefix("skipped "): line for line in lines if line.startswith("skipped")}
    assert set(skipped) == {"tiny.wav", "silent.wav", "slow.wav", "broken.wav", "empty.mp3"}
    assert "1.0 s" in skipped["tiny.wav"]
    assert "-60 dBFS" in skipped["silent.wav"]
    assert "4000 Hz" in skipped["slow.wav"]
    assert "unreadable" in skipped["broken.wav"]


def test_everything_becomes_stereo_at_one_rate_and_preparing_again_changes_nothing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = [line for line in prepare(folder, out) if line.startswith("prepared")]
    assert len(told) == 4
    assert all(re.search(r"; \d+ to go, \d+\.\d min$", line) for line in told)
    first = read_index(out)
    for entry in first.values():
        stored = open_entry(out, entry)
        assert stored.shape == (entry.frames, 2)
        assert abs(len(stored) - 2 * RATE) <= 2
        assert abs(loudness(stored.astype(np.float32) / 32767 * entry.gain) - REFERENCE_LUFS) < 0.1
    assert not [line for line in prepare(folder, out) if line.startswith("prepared")]
    assert read_index(out) == first


def test_a_folder_without_audio_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no audio"):
        list(prepare(tmp_path, tmp_path / "out"))


def test_loudness_of_the_standards_reference_tone() -> None:
    """A 997 Hz sine at 0 dBFS in one channel reads -3.01 LUFS (ITU-R BS.1770-4, Annex 1)."""
    one = tone(5, level=1.0)
    one[:, 1] = 0
    assert loudness(one) == pytest.approx(-3.01, abs=0.05)


def test_loudness_gates_silence_and_hears_treble_louder_than_bass() -> None:
    assert loudness(np.concatenate([tone(4), np.zeros((8 * RATE, 2), np.float32)])) == pytest.approx(loudness(tone(4)), abs=0.2)
    assert loudness(np.zeros((RATE, 2), np.float32)) == float("-inf")
    assert k_weighted(tone(1, frequency=8_000)).std() > k_weighted(tone(1, frequency=50)).std()


def test_split_is_fixed_and_holds_out_about_the_share() -> None:
    names = [f"artist {i}" for i in range(2_000)]
    held = sum(split_of(name, 0.1) == "eval" for name in names)
    assert 150 < held < 250
    assert [split_of(name, 0.1) for name in names] == [split_of(name, 0.1) for name in names]
    assert all(split_of(name, 0.0) == "train" for name in names)


def test_an_artist_is_never_on_both_sides(tmp_path: Path) -> None:
    place = tmp_path / "tagged"
    place.mkdir()
    for number in range(24):
        with soundfile.SoundFile(place / f"{number}.flac", "w", RATE, 2) as file:
            file.artist = f"artist {number % 6}"
            file.write(tone(1.2))
    list(prepare(place, tmp_path / "out", holdout=0.5))
    sides: dict[str, set[str]] = {}
    for entry in read_index(tmp_path / "out").values():
        sides.setdefault(entry.artist, set()).add(entry.split)
    assert set(sides) == {f"artist {i}" for i in range(6)}
    assert all(len(split) == 1 for split in sides.values())


def test_clips_group_stems_and_stay_near_the_reference(folder: Path, tmp_path: Path) -> None:
    list(prepare(folder, tmp_path / "out"))
    library = Library([tmp_path / "out"])
    assert {len(song.entries) for song in library.songs} == {1, 2}
    rng = np.random.default_rng(0)
    for _ in range(20):
        clip = library.clip(rng, 8192)
        assert clip.shape == (2, 8192)
        assert np.isfinite(clip).all()
        assert np.abs(clip).max() <= 1.0
    levels = [loudness(library.clip(rng, RATE).T) for _ in range(20)]
    assert min(levels) > REFERENCE_LUFS - LEVEL_DB - 14
    assert max(levels) < REFERENCE_LUFS + LEVEL_DB + 6


def test_the_same_generator_gives_the_same_clip(folder: Path, tmp_path: Path) -> None:
    list(prepare(folder, tmp_path / "out"))
    library = Library([tmp_path / "out"])
    assert np.array_equal(library.clip(np.random.default_rng(3), 4096), library.clip(np.random.default_rng(3), 4096))


def test_held_out_audio_is_not_drawn(folder: Path, tmp_path: Path) -> None:
    list(prepare(folder, tmp_path / "out", holdout=1.0))
    with pytest.raises(FileNotFoundError, match="no prepared train audio"):
        Library([tmp_path / "out"])
    assert Library([tmp_path / "out"], "eval").songs


def test_composed_music_has_its_tempo() -> None:
    """Its loudness repeats after one bar of the stated tempo, and not after nine tenths of one."""
    piece = compose(np.random.default_rng([5, 1]), 16.0)
    assert piece.style in STYLES
    assert STYLES[piece.style][0][0] <= piece.bpm <= STYLES[piece.style][0][1]
    bar = 4 * 60 / piece.bpm * RATE
    assert len(piece.audio) == pytest.approx(round(len(piece.audio) / bar) * bar, abs=2)
    energy = np.square(piece.audio[: len(piece.audio) // 441 * 441]).reshape(-1, 441 * 2).mean(1)
    rises = np.diff(np.log(energy + 1e-6)).clip(0)

    def likeness(lag: int) -> float:
        return float(np.corrcoef(rises[lag:], rises[:-lag])[0, 1])

    assert likeness(round(bar / 441)) > likeness(round(0.9 * bar / 441)) + 0.2
    assert 0.02 < piece.audio.std() < 0.5
    assert np.abs(piece.audio).max() <= 1


def test_composing_is_deterministic_and_fills_the_time(tmp_path: Path) -> None:
    first, again = (next(iter(pieces(1, 0.2, seconds=8))) for _ in range(2))
    assert np.array_equal(first.audio, again.audio)
    assert list(prepare_synthesis(0.01, tmp_path / "out", seed=2, seconds=6))
    (entry,) = read_index(tmp_path / "out").values()
    assert (entry.artist, entry.split) == ("synthesis", "train")


def fma(place: Path) -> Path:
    """Four tracks of two artists in the layout of the Free Music Archive, its tables beside them; one of the files is damaged."""
    tracks, tables = place / "fma_tiny", place / "fma_metadata"
    tables.mkdir(parents=True)
    for number in (2, 5, 1003, 1004):
        folder = tracks / f"{number // 1000:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{number:06d}.flac", tone(1.2, frequency=200 + number), RATE)
    (tracks / "001" / "001099.mp3").write_bytes(b"ID3 and nothing more")
    rows = [
        ",album,artist,set,track,track,track",
        ",title,name,split,genre_top,license,title",
        "track_id,,,,,,",
        '2,A,"Bee, the",training,Rock,CC BY,"One"',
        '5,A,"Bee, the",training,Rock,CC BY,Two',
        "1003,B,Cat,test,Jazz,CC0,Three",
        "1004,B,Cat,test,Jazz,CC0,Four",
    ]
    (tables / "tracks.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tracks


def test_the_free_music_archive_is_split_by_the_artists_of_its_tables(tmp_path: Path) -> None:
    lines = list(prepare(fma(tmp_path), tmp_path / "out", holdout=0.5))
    entries = read_index(tmp_path / "out").values()
    assert {entry.name: entry.artist for entry in entries} == {
        "fma_tiny--000--000002": "Bee, the",
        "fma_tiny--000--000005": "Bee, the",
        "fma_tiny--001--001003": "Cat",
        "fma_tiny--001--001004": "Cat",
    }
    assert all(entry.split == split_of(entry.artist, 0.5) for entry in entries)
    assert [line for line in lines if line.startswith("skipped 001099.mp3: unreadable")]


def test_metadata_elsewhere_is_named_and_wrong_metadata_is_an_error(tmp_path: Path) -> None:
    tracks = fma(tmp_path)
    tables = (tmp_path / "fma_metadata").rename(tmp_path / "tables")
    list(prepare(tracks, tmp_path / "out", metadata=tables))
    assert {entry.artist for entry in read_index(tmp_path / "out").values()} == {"Bee, the", "Cat"}
    (tables / "tracks.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no column artist/name"):
        list(prepare(tracks, tmp_path / "other", metadata=tables))
    with pytest.raises(ValueError, match="metadata: no"):
        list(prepare(tracks, tmp_path / "other", metadata=tmp_path / "nowhere"))


def test_tracks_of_one_name_in_two_folders_are_two_songs(tmp_path: Path) -> None:
    for album in ("a", "b"):
        (tmp_path / "mine" / album).mkdir(parents=True)
        soundfile.write(tmp_path / "mine" / album / "01.wav", tone(1.5), RATE)
    list(prepare(tmp_path / "mine", tmp_path / "out"))
    assert [len(song.entries) for song in Library([tmp_path / "out"]).songs] == [1, 1]


def test_preparing_ends_with_its_minutes_and_goes_on(folder: Path, tmp_path: Path) -> None:
    lines = list(prepare(folder, tmp_path / "out", minutes=0))
    assert lines == ["0 minutes are over after 0 of 9 files; run it again to go on"]
    list(prepare(folder, tmp_path / "out"))
    assert len(read_index(tmp_path / "out")) == 4
