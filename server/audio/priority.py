"""Real-time priority, where the system grants it (root, or an rtprio limit): sound before messages, messages before the model.

Linux only; elsewhere PortAudio and the system decide.
"""

from __future__ import annotations

import os
import struct

AUDIO, CONTROL = 60, 40  # SCHED_FIFO priorities; JACK's own threads run at 60 to 80 by default
WAKE_US = 10  # a core may take so long to wake: light sleep only
NICE = -10  # instead of CONTROL, where only that is granted


def realtime(priority: int, inherited: bool = False) -> bool:
    """SCHED_FIFO for the calling thread, and with `inherited` for threads and processes that it starts; whether granted."""
    if not hasattr(os, "sched_setscheduler"):
        return False
    policy = os.SCHED_FIFO if inherited else os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except OSError:
        return False
    return True


def ahead_of_the_model() -> None:
    """For the control process: a message must not wait for the model, or for another program."""
    if not realtime(CONTROL):
        try:
            os.setpriority(os.PRIO_PROCESS, 0, NICE)
        except (OSError, AttributeError):
            return


def stay_awake() -> int | None:
    """Keeps idle cores out of the deep sleep that takes longer to wake from than a message to be read.

    Returns what holds the wish for as long as it is open, or None where this user may not ask (Linux's PM QoS interface).
    """
    try:
        wish = os.open("/dev/cpu_dma_latency", os.O_WRONLY)
    except OSError:
        return None
    os.write(wish, struct.pack("i", WAKE_US))
    return wish
