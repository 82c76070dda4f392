"""Leases, limits and meters on a stepped clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.server.commands import CODES, Command, CommandError
from segue.server.events import FAILURES, LEASE, MAX_CLIENTS, MAX_SENTENCE, METER_RATE, Audience, Events


class Rig:
    """Events with a clock that is set by hand, and everything that was sent."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sent: list[tuple[str, str, tuple[object, ...]]] = []
        self.events = Events(self._send, lambda: self.now, self._snapshot)

    def _send(self, route, address, args=(), types=None, time=None):
        self.sent.append((route, address, args))

    def _snapshot(self, route: str) -> None:
        self.events.reply(route, "/segue/engine", "ready", "")

    def take(self) -> list[tuple[str, str, tuple[object, ...]]]:
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_lease_begins_with_the_state_and_ends_after_thirty_seconds(rig):
    rig.events.notify("udp:h:5")
    assert rig.take() == [("udp:h:5", "/segue/notify", (LEASE,)), ("udp:h:5", "/segue/engine", ("ready", ""))]
    rig.now += LEASE - 0.01
    rig.events.emit("/segue/beat", 1, 1)
    assert rig.take() == [("udp:h:5", "/segue/beat", (1, 1))]
    rig.now += 0.02
    rig.events.emit("/segue/beat", 2, 1)
    assert rig.take() == []


def test_notify_renews_without_a_second_state(rig):
    rig.events.notify("udp:h:5")
    rig.now += 20
    rig.take()
    rig.events.notify("udp:h:5")
    assert rig.take() == [("udp:h:5", "/segue/notify", (LEASE,))]
    rig.now += 20
    rig.events.emit("/x")
    assert rig.take() == [("udp:h:5", "/x", ())]


def test_port_zero_ends_the_lease(rig):
    rig.events.notify("udp:h:5")
    rig.events.notify("udp:h:5", 0)
    rig.take()
    rig.events.emit("/x")
    assert rig.take() == []


def test_another_port_gets_answers_and_events(rig):
    rig.events.notify("udp:[::1]:5", 9000)
    rig.take()
    rig.events.reply(Command("/segue/ping", sender="udp:[::1]:5"), "/segue/pong", 1)
    rig.events.emit("/x")
    assert rig.take() == [("udp:[::1]:9000", "/segue/pong", (1,)), ("udp:[::1]:9000", "/x", ())]
    rig.now += LEASE + 1
    rig.events.reply("udp:[::1]:5", "/segue/pong")
    assert rig.take() == [("udp:[::1]:5", "/segue/pong", ())]


def test_two_senders_with_one_target_are_told_once(rig):
    rig.events.notify("udp:h:5", 9000)
    rig.events.notify("udp:h:6", 9000)
    rig.take()
    rig.events.emit("/x")
    assert rig.take() == [("udp:h:9000", "/x", ())]


def test_a_port_means_nothing_to_a_connection(rig):
    rig.events.notify("tcp:3", 9000)
    rig.take()
    rig.events.emit("/x")
    assert rig.take() == [("tcp:3", "/x", ())]


def test_clients_are_bounded_and_make_room_when_they_fall_silent(rig):
    for number in range(MAX_CLIENTS):
        rig.events.notify(f"udp:h:{number}")
    with pytest.raises(CommandError, match="clients listen already") as error:
        rig.events.notify("udp:h:9999")
    assert error.value.code == "queue-full"
    rig.now += LEASE + 1
    rig.events.notify("udp:h:9999")
    assert rig.events.clients == 1


def test_meters_go_to_subscribers_only_at_their_rate_with_the_latest_value_and_one_last_zero(rig):
    rig.events.notify("udp:h:1")
    rig.events.join("udp:h:2", Audience.SUBSCRIBED)
    rig.take()
    for step in range(300):  # 10 ms each
        rig.now += 0.01
        level = step / 300 if step < 150 else 0.0
        rig.events.meters("/m", level, level)
        rig.events.tick()
    sent = rig.take()
    assert {route for route, *_ in sent} == {"udp:h:2"}
    levels = [args[0] for _, _, args in sent]
    assert levels.count(0.0) == 1
    assert levels[-1] == 0.0
    assert 1.5 * METER_RATE * 0.7 <= len(levels) <= 1.5 * METER_RATE + 2
    assert levels[:-1] == sorted(levels[:-1])


def test_unsubscribe_stops_meters_and_keeps_the_lease(rig):
    rig.events.join("udp:h:2", Audience.SUBSCRIBED)
    rig.events.join("udp:h:2", Audience.SUBSCRIBED, False)
    rig.take()
    rig.events.meters("/m", 1.0)
    rig.events.tick()
    assert rig.take() == []
    rig.events.emit("/x")
    assert rig.take() == [("udp:h:2", "/x", ())]


def test_failures_are_limited_for_each_route_and_counted_in_one_line(rig):
    for number in range(100):
        rig.events.fail("udp:h:1", "/a", f"no {number}", "bad-argument")
    rig.events.fail("udp:h:2", "/b", "no", "no-job")
    sent = rig.take()
    assert len([s for s in sent if s[0] == "udp:h:1"]) == FAILURES
    assert sent[0] == ("udp:h:1", "/segue/fail", ("/a", "no 0", CODES["bad-argument"]))
    assert sent[-1] == ("udp:h:2", "/segue/fail", ("/b", "no", CODES["no-job"]))
    rig.now += 1.0
    rig.events.tick()
    assert rig.take() == [("udp:h:1", "/segue/fail", ("", "80 more messages failed", 0))]
    rig.events.fail("udp:h:1", "/a", "again", "bad-argument")
    assert len(rig.take()) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 0.2)), max_size=200))
def test_no_failure_goes_unmentioned(asked):
    rig = Rig()
    for who, pause in asked:
        rig.now += pause
        rig.events.fail(f"udp:h:{who}", "/a", "no", "bad-argument")
    rig.now += 2
    rig.events.tick()
    sentences = [args[1] for _, _, args in rig.take()]
    counted = sum(1 if sentence == "no" else int(sentence.split()[0]) for sentence in sentences)
    assert counted == len(asked)


def test_many_senders_do_not_grow_the_memory(rig):
    for number in range(5 * MAX_CLIENTS):
        rig.events.fail(f"udp:h:{number}", "/a", "no", "bad-argument")
    assert len(rig.take()) == MAX_CLIENTS


def test_late_and_long_sentences(rig):
    rig.events.late(Command("/a", sender="udp:h:1"), "/a", 0.25)
    rig.events.fail("udp:h:1", "/" + "a" * 900, "b" * 900, "bad-argument")
    late, fail = rig.take()
    assert late == ("udp:h:1", "/segue/late", ("/a", 0.25))
    assert max(len(str(arg)) for arg in fail[2]) <= MAX_SENTENCE


def test_values_are_told_to_all_but_their_setter_the_latest_only(rig):
    for sender in ("udp:a:1", "udp:b:1"):
        rig.events.notify(sender)
    rig.events.tick()
    rig.sent.clear()
    for value in (0.1, 0.2, 0.3):
        rig.events.changed("/segue/deck/1/k", value, by="udp:a:1")
    rig.events.tick()
    assert rig.sent == []  # 30 times a second at most
    rig.now += 1 / METER_RATE
    rig.events.tick()
    assert [(route, address, args) for route, address, args, *_ in rig.sent] == [("udp:b:1", "/segue/deck/1/k", (0.3,))]
    assert rig.events.last("/segue/deck/1/k") == (0.3,)


def test_connections_are_not_remembered_for_the_next_process(rig):
    rig.events.notify("tcp:1")
    rig.events.notify("udp:a:1", 9000)
    assert [sender for sender, _, _ in rig.events.leases()] == ["udp:a:1"]
