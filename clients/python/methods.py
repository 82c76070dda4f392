"""The server's addresses as methods: made by `python -m segue.server.projections`, not by hand."""

from __future__ import annotations

from typing import Any

REPLIES = {
    "/segue/ping": "/segue/pong",
    "/segue/sync": "/segue/synced",
    "/segue/jobs": "/segue/job",
}


class DeckMethods:
    """Verbs and values of one deck. A verb that makes a take returns the number of its job."""

    def _take(self, verb: str, /, **options: Any) -> int:
        raise NotImplementedError

    def _verb(self, verb: str, /, *args: Any, **options: Any) -> None:
        raise NotImplementedError

    def _value(self, name: str, value: Any) -> Any:
        raise NotImplementedError

    def continue_(
        self,
        *,
        beats: float | None = None,
        sec: float | None = None,
        seed: int | None = None,
        steps: int | None = None,
        xi: float | None = None,
        regime: str | None = None,
        quant: str | None = None,
        xfade: float | None = None,
        commit: bool | None = None,
        id: int | None = None,
        T: float | None = None,
        endless: bool | None = None,
        sampler: str | None = None,
    ) -> int:
        """Plays on from what has just sounded (continuation)."""
        return self._take(
            "continue",
            beats=beats,
            sec=sec,
            seed=seed,
            steps=steps,
            xi=xi,
            regime=regime,
            quant=quant,
            xfade=xfade,
            commit=commit,
            id=id,
            T=T,
            endless=endless,
            sampler=sampler,
        )

    def transition(
        self,
        *,
        to: int | None = None,
        at: float | None = None,
        beats: float | None = None,
        sec: float | None = None,
        seed: int | None = None,
        steps: int | None = None,
        xi: float | None = None,
        regime: str | None = None,
        quant: str | None = None,
        xfade: float | None = None,
        commit: bool | None = None,
        id: int | None = None,
        k: float | None = None,
        align: bool | None = None,
        limit: float | None = None,
    ) -> int:
        """Bridges into another deck and goes on there (transition)."""
        return self._take(
            "transition",
            to=to,
            at=at,
            beats=beats,
            sec=sec,
            seed=seed,
            steps=steps,
            xi=xi,
            regime=regime,
            quant=quant,
            xfade=xfade,
            commit=commit,
            id=id,
            k=k,
            align=align,
            limit=limit,
        )

    def infill(
        self,
        *,
        beats: float | None = None,
        sec: float | None = None,
        seed: int | None = None,
        steps: int | None = None,
        xi: float | None = None,
        regime: str | None = None,
        quant: str | None = None,
        xfade: float | None = None,
        commit: bool | None = None,
        id: int | None = None,
        T: float | None = None,
    ) -> int:
        """Fills the coming stretch anew, joined to what follows on a file deck (infill)."""
        return self._take(
            "infill",
            beats=beats,
            sec=sec,
            seed=seed,
            steps=steps,
            xi=xi,
            regime=regime,
            quant=quant,
            xfade=xfade,
            commit=commit,
            id=id,
            T=T,
        )

    def vary(
        self,
        *,
        beats: float | None = None,
        sec: float | None = None,
        seed: int | None = None,
        steps: int | None = None,
        xi: float | None = None,
        regime: str | None = None,
        quant: str | None = None,
        xfade: float | None = None,
        commit: bool | None = None,
        id: int | None = None,
        k: float | None = None,
        T: float | None = None,
    ) -> int:
        """Varies what was heard last, keeping its outline (renoise, from T or the level of k)."""
        return self._take(
            "vary",
            beats=beats,
            sec=sec,
            seed=seed,
            steps=steps,
            xi=xi,
            regime=regime,
            quant=quant,
            xfade=xfade,
            commit=commit,
            id=id,
            k=k,
            T=T,
        )

    def loop(
        self,
        *,
        beats: float | None = None,
        sec: float | None = None,
        seed: int | None = None,
        steps: int | None = None,
        xi: float | None = None,
        regime: str | None = None,
        quant: str | None = None,
        xfade: float | None = None,
        commit: bool | None = None,
        id: int | None = None,
    ) -> int:
        """Makes the last phrase into a loop that closes without a seam (loop)."""
        return self._take(
            "loop",
            beats=beats,
            sec=sec,
            seed=seed,
            steps=steps,
            xi=xi,
            regime=regime,
            quant=quant,
            xfade=xfade,
            commit=commit,
            id=id,
        )

    def style(
        self,
        *,
        deck: int | None = None,
        path: str | None = None,
        class_: str | None = None,
        beats: float | None = None,
        sec: float | None = None,
        seed: int | None = None,
        steps: int | None = None,
        xi: float | None = None,
        regime: str | None = None,
        quant: str | None = None,
        xfade: float | None = None,
        commit: bool | None = None,
        id: int | None = None,
        T: float | None = None,
        weight: float | None = None,
        class_weight: float | None = None,
        reconstruction: float | None = None,
    ) -> int:
        """Continues in the style of a deck or a file, towards a class, or both (embedder and classifier guidance)."""
        return self._take(
            "style",
            deck=deck,
            path=path,
            class_=class_,
            beats=beats,
            sec=sec,
            seed=seed,
            steps=steps,
            xi=xi,
            regime=regime,
            quant=quant,
            xfade=xfade,
            commit=commit,
            id=id,
            T=T,
            weight=weight,
            class_weight=class_weight,
            reconstruction=reconstruction,
        )

    def generate(
        self,
        *,
        beats: float | None = None,
        sec: float | None = None,
        seed: int | None = None,
        steps: int | None = None,
        xi: float | None = None,
        regime: str | None = None,
        quant: str | None = None,
        xfade: float | None = None,
        commit: bool | None = None,
        id: int | None = None,
        T: float | None = None,
    ) -> int:
        """Plays something new: a groove at the tempo that the model moves; T 1: noise alone."""
        return self._take(
            "generate",
            beats=beats,
            sec=sec,
            seed=seed,
            steps=steps,
            xi=xi,
            regime=regime,
            quant=quant,
            xfade=xfade,
            commit=commit,
            id=id,
            T=T,
        )

    def commit(
        self,
        *,
        id: int | None = None,
        quant: str | None = None,
        xfade: float | None = None,
    ) -> None:
        """Plays a take that was held back by `commit 0`."""
        self._verb("commit", id=id, quant=quant, xfade=xfade)

    def cancel(self, *, id: int | None = None) -> None:
        """Drops the newest pending job."""
        self._verb("cancel", id=id)

    def stop(self, *, quant: str | None = None, xfade: float | None = None) -> None:
        """Ends the take and returns to dry."""
        self._verb("stop", quant=quant, xfade=xfade)

    def capture(
        self,
        *,
        beats: float | None = None,
        sec: float | None = None,
        quant: str | None = None,
    ) -> None:
        """Keeps what has just sounded as a take; with a quant what ends nearest to it."""
        self._verb("capture", beats=beats, sec=sec, quant=quant)

    def overdub(self, *, quant: str | None = None) -> None:
        """Adds one round of what is played over the loop to it, as a layer that undo takes off."""
        self._verb("overdub", quant=quant)

    def footswitch(self, down: bool | None = None) -> None:
        """One switch for all: pressed it records, closes the loop, plays on from it; held for 0.6 s it takes that back."""
        self._verb("footswitch", down)

    def freeze(self, on: bool | None = None) -> None:
        """Pins the context: later verbs condition on this moment; 0 unpins."""
        self._verb("freeze", on)

    def undo(self) -> None:
        """Plays the take before this one."""
        self._verb("undo")

    def redo(self) -> None:
        """Plays the take that `undo` left."""
        self._verb("redo")

    def load(
        self,
        path: str,
        *,
        gain: float | None = None,
        bpm: float | None = None,
        beat: float | None = None,
    ) -> None:
        """Loads a file, which makes this a file deck; its level, tempo and beats are found out unless they are said."""
        self._verb(
            "load",
            path,
            gain=gain,
            bpm=bpm,
            beat=beat,
        )

    def play(self, *, quant: str | None = None) -> None:
        """Starts the file."""
        self._verb("play", quant=quant)

    def pause(self, *, quant: str | None = None) -> None:
        """Pauses the file."""
        self._verb("pause", quant=quant)

    def seek(self, sec: float) -> None:
        """Moves to a place in the file."""
        self._verb("seek", sec)

    def cue(self, sec: float | None = None) -> None:
        """Moves to a place in the file and pauses there."""
        self._verb("cue", sec)

    def audition(
        self,
        *,
        verb: str | None = None,
        seed: int | None = None,
        id: int | None = None,
    ) -> int:
        """Plays a take that stands ready on the cue pair, as it would sound if it were selected now; the main out goes
        on."""
        return self._take("audition", verb=verb, seed=seed, id=id)

    def gain(self, gain: float | None = None) -> Any:
        """Level of the deck."""
        return self._value("gain", gain)

    def speculate(self, verbs: str | None = None) -> Any:
        """Verbs whose takes are made ahead, to sound one block later: off, or some of continue vary loop transition
        generate."""
        return self._value("speculate", verbs)

    def candidates(self, count: int | None = None) -> Any:
        """Takes that are kept ready for each verb of `speculate`, each of another seed."""
        return self._value("candidates", count)

    def seeds(self, seeds: str | None = None) -> Any:
        """Seeds of the takes that are made ahead, one take a seed; none draws them."""
        return self._value("seeds", seeds)

    def mute(self, on: bool | None = None) -> Any:
        """Silences the deck."""
        return self._value("mute", on)

    def solo(self, on: bool | None = None) -> Any:
        """Silences every deck that is not soloed."""
        return self._value("solo", on)

    def inputs(self, channels: str | None = None) -> Any:
        """Device channels that the deck hears when it plays no file."""
        return self._value("inputs", channels)

    def gate(self, gate: float | None = None) -> Any:
        """Level under which the input counts as silent."""
        return self._value("gate", gate)

    def steps(self, steps: int | None = None) -> Any:
        """Steps of verbs that do not say."""
        return self._value("steps", steps)

    def xi(self, xi: float | None = None) -> Any:
        """Guidance of verbs that do not say."""
        return self._value("xi", xi)

    def k(self, k: float | None = None) -> Any:
        """Share of noise of verbs that do not say."""
        return self._value("k", k)

    def weight(self, weight: float | None = None) -> Any:
        """Push of the style of verbs that do not say."""
        return self._value("weight", weight)

    def class_weight(self, class_weight: float | None = None) -> Any:
        """Push of the classes of verbs that do not say."""
        return self._value("class_weight", class_weight)

    def reconstruction(self, reconstruction: float | None = None) -> Any:
        """Pull of the context of verbs that do not say."""
        return self._value("reconstruction", reconstruction)

    def regime(self, regime: str | None = None) -> Any:
        """Context regime of verbs that do not say."""
        return self._value("regime", regime)

    def quant(self, quant: str | None = None) -> Any:
        """Entry of verbs that do not say."""
        return self._value("quant", quant)

    def xfade(self, xfade: float | None = None) -> Any:
        """Crossfade of verbs that do not say."""
        return self._value("xfade", xfade)

    def beats(self, beats: float | None = None) -> Any:
        """Length of verbs that do not say."""
        return self._value("beats", beats)


class ServerMethods:
    """Values and actions of the server."""

    def _action(self, name: str, *args: Any) -> None:
        raise NotImplementedError

    def _asked(self, name: str, *args: Any) -> tuple[Any, ...]:
        raise NotImplementedError

    def _value(self, name: str, value: Any) -> Any:
        raise NotImplementedError

    def tempo(self, bpm: float | None = None) -> Any:
        """Tempo; not to be set where it is another's."""
        return self._value("tempo", bpm)

    def meter(self, beats: int | None = None) -> Any:
        """Beats a bar."""
        return self._value("meter", beats)

    def sync_source(self, source: str | None = None) -> Any:
        """Where tempo and beats come from; a change moves no beat, the grid goes over to the new source's beats."""
        return self._value("sync/source", source)

    def transport(self, on: bool | None = None) -> Any:
        """Whether the source of tempo plays; set with Link it starts or stops everyone."""
        return self._value("transport", on)

    def tap(self) -> None:
        """Taps the tempo: the median of the last four intervals."""
        self._action("tap")

    def downbeat(self) -> None:
        """Says that this moment is the first beat of a bar."""
        self._action("downbeat")

    def nudge(self, beats: float) -> None:
        """Moves the beat."""
        self._action("nudge", beats)

    def monitor(self, mode: str | None = None) -> Any:
        """Whether live inputs go to the outputs: while nothing generated stands in their place; always, beside takes and
        loops; or never, where a mixer lets the performer through."""
        return self._value("monitor", mode)

    def generated(self, gain: float | None = None) -> Any:
        """Level of everything generated."""
        return self._value("generated", gain)

    def reference(self, lufs: float | None = None) -> Any:
        """Integrated loudness that files are brought to when they are loaded, 12 dB up or down at most, to -1 dBTP at
        most."""
        return self._value("reference", lufs)

    def speculate_share(self, share: float | None = None) -> Any:
        """Share of the engine's time for takes that are made ahead; 0 makes none."""
        return self._value("speculate/share", share)

    def scene_save(self, scene: int) -> None:
        """Keeps every value of every deck under a number."""
        self._action("scene/save", scene)

    def scene_recall(self, scene: int) -> None:
        """Sets what was kept under a number."""
        self._action("scene/recall", scene)

    def lock(self, on: bool | None = None) -> Any:
        """Performance lock: load, cue, seek, scene/save, clear_sched, quit and the like are refused."""
        return self._value("lock", on)

    def panic(self) -> None:
        """Ends every take on every deck within 10 ms."""
        self._action("panic")

    def version(self) -> tuple[Any, ...]:
        """Asks for the version."""
        return self._asked("version")

    def sync(self, id: int | None = None) -> tuple[Any, ...]:
        """Answers once everything sent before has been carried out."""
        return self._asked("sync", id)

    def clock(self) -> tuple[Any, ...]:
        """Asks for the sample clock."""
        return self._asked("clock")

    def subscribe(self, on: bool | None = None) -> tuple[Any, ...]:
        """Sends meters and beats too."""
        return self._asked("subscribe", on)

    def waveform(self, on: bool | None = None) -> tuple[Any, ...]:
        """Sends the waveform of what sounds and of what is coming too, for as long as notify's lease runs."""
        return self._asked("waveform", on)

    def spectrum(self, on: bool | None = None) -> tuple[Any, ...]:
        """Sends the spectrum of what comes in and of what sounds too, for as long as notify's lease runs."""
        return self._asked("spectrum", on)

    def midi_learn(self, address: str | None = None) -> None:
        """Binds the next MIDI message to an address; without one, no more."""
        self._action("midi/learn", address)

    def midi_map(self, text: str | None = None) -> tuple[Any, ...]:
        """Asks for the MIDI map; with a text, which docs/MIDI.md describes, sets it."""
        return self._asked("midi/map", text)

    def meters(self) -> None:
        """Asks for the levels once, deck by deck."""
        self._action("meters")

    def dump_osc(self, on: bool | None = None) -> None:
        """Prints every message that arrives."""
        self._action("dump_osc", on)

    def clear_sched(self) -> None:
        """Forgets all messages that are not due yet."""
        self._action("clear_sched")

    def quit(self) -> tuple[Any, ...]:
        """Ends the server."""
        return self._asked("quit")
