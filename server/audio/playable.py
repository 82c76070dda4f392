"""What decks may play of a stream's memory: play slots, fallback loops and the cue pair's auditions.

Who may call what is said at each method: "control" is the one thread of the control process that owns the decks, "audio" the
audio process, "feeder" its file thread, "any" any thread of any process. Decks count from 0, frames from the stream's start.
Audio is float32, [2, frames].
"""

from __future__ import annotations

from typing import Any

from segue.server.audio.mapped import Mapped
from segue.server.audio.memory import Memory
from segue.server.audio.rings import Audio, ring_read, ring_write
from segue.server.audio.values import FOREVER, Curve, Policy, SlotState, TooNear


class Playable(Mapped):
    """The slots, loops and auditions of one stream."""

    def __init__(self, shared: Memory) -> None:
        """As Mapped."""
        super().__init__(shared)
        self._cued = 0  # where the next audition is written

    def write_slot(self, deck: int, slot: int, first_frame: int, audio: Audio) -> None:
        """Copies audio to where frame first_frame lies in slot 0 or 1; control. Publish afterwards.

        Raises TooNear for frames that the deck may be about to play, and ValueError for more than the slot holds.
        """
        d, n, capacity = self.deck(deck), audio.shape[1], self.slot_frames
        if n > capacity or first_frame < 0:
            raise ValueError(
                f"slot: at most {capacity} frames from frame 0 on, got {n} from {first_frame}; write a shorter window"
            )
        if self._sounds(d, 1 + slot):
            soonest = self.frame + 2 * self.block
            if first_frame < soonest and first_frame < int(d.slot[slot].last):  # what was never published is not played
                raise TooNear(
                    f"slot: frame {first_frame} may be sounding, {soonest} is the first that may be written; write later frames"
                )
            if first_frame + n - capacity > self.frame:
                raise TooNear(f"slot: {n} frames at {first_frame} would overwrite what is to be played; write them in {n} frames")
        ring_write(self.view(d.slot_at[slot], capacity), first_frame, audio)

    def publish_slot(
        self,
        deck: int,
        slot: int,
        take_id: int,
        first: int,
        last: int,
        exit_frame: int = FOREVER,
        exit_fade: int = 0,
        exit_policy: Policy = Policy.LADDER,
        curve: Curve = Curve.POWER,
    ) -> None:
        """Says that frames [first, last) may sound, after they were written, and how the deck leaves them; control.

        May be called again at any time to extend last and exit_frame. Where last comes before the end of the exit's fade,
        the exit is early enough to fit. Raises TooNear where a sounding slot would lose frames that are about to be played.
        """
        d = self.deck(deck)
        if last - first > self.slot_frames or exit_fade < 0 or first > last:
            raise ValueError(
                f"slot: at most {self.slot_frames} frames and a fade of 0 or more, got {first} to {last}, fade {exit_fade}"
            )
        head = self.frame
        if self._sounds(d, 1 + slot) and not (first <= head and last >= head + 2 * self.block) and last < d.slot[slot].last:
            raise TooNear(
                f"slot: it sounds at frame {head}, so it keeps what lies before {head + 2 * self.block}, got {first} to {last}"
            )
        s = d.slot[slot]
        sequence = int(s.sequence) | 1
        self.store(s, "sequence", sequence)
        self.fence()
        s.take, s.first, s.last = take_id, first, last
        s.exit_frame, s.exit_fade, s.policy, s.curve = exit_frame, exit_fade, exit_policy, curve
        self.fence()
        self.store(s, "sequence", sequence + 1)

    def clear_slot(self, deck: int, slot: int) -> None:
        """Says that nothing of a slot may sound, before other audio is written there; control."""
        self.publish_slot(deck, slot, 0, 0, 0)

    def slot_state(self, deck: int, slot: int) -> SlotState:
        """What was published last; control."""
        s = self.deck(deck).slot[slot]
        return SlotState(s.take, s.first, s.last, s.exit_frame, s.exit_fade, Policy(s.policy))

    def read_slot(self, deck: int, slot: int) -> Audio:
        """A copy of what was published last; control."""
        s = self.deck(deck).slot[slot]
        return ring_read(self.view(self.deck(deck).slot_at[slot], self.slot_frames), int(s.first), int(s.last - s.first))

    def slot_sounds(self, deck: int, slot: int) -> bool:
        """Whether the deck plays the slot, or fades out of it; any."""
        return self._sounds(self.deck(deck), 1 + slot)

    def _sounds(self, d: Any, voice: int) -> bool:
        fading = self.frame - d.fade_start < d.fade_length
        return bool(d.to == voice or (fading and d.voice[voice].weight != 0.0))

    # The fallback loop.

    def publish_loop(self, deck: int, audio: Audio, origin: int) -> bool:
        """Makes audio, whose first frame belongs at frame `origin`, the deck's loop; control. Its wrap is faded by the caller.

        Returns False, with nothing done, while the deck still plays the loop before the last.
        """
        d, n = self.deck(deck), audio.shape[1]
        if not 0 < n <= self.loop_frames:
            raise ValueError(f"loop: 1 to {self.loop_frames} frames, got {n}; take fewer bars")
        generation = int(d.loop_published) + 1
        half = generation & 1
        if self._sounds(d, 3 + half):
            return False
        self.view(d.loop_at[half], self.loop_frames)[:, :n] = audio
        d.loop[half].length, d.loop[half].origin = n, origin
        self.store(d, "loop_published", generation)
        return True

    def read_loop(self, deck: int) -> tuple[int, Audio]:
        """The origin of the loop that was published last, and a copy of it; control."""
        d = self.deck(deck)
        half = self.load(d, "loop_published") & 1
        length = int(d.loop[half].length)
        return int(d.loop[half].origin), self.view(d.loop_at[half], self.loop_frames)[:, :length].copy()

    # The cue pair.

    @property
    def cue_frames(self) -> int:
        """How many frames can be auditioned at once, 0 where there is no cue pair; any."""
        return int(self.header.cue_frames) // 2

    def write_cue(self, audio: Audio) -> int:
        """Puts at most `cue_frames` frames beside those that may be sounding, and says where, for Command.cue; control."""
        n = audio.shape[1]
        if not 0 < n <= self.cue_frames:
            raise ValueError(f"cue: 1 to {self.cue_frames} frames, got {n}; give fewer, or start the server with a cue pair")
        position, self._cued = self._cued, (self._cued + self.cue_frames) % (2 * self.cue_frames)
        ring_write(self.view(self.header.cue_at, int(self.header.cue_frames)), position, audio)
        return position
