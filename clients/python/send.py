"""Sends one message to a running server and prints everything that comes back: `segue send deck/1/continue beats 8`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from .client import Client
from .wire import PORT, STATES, Event, SegueError, parsed

_BOOKKEEPING = ("/segue/notify", "/segue/synced")
_LOADING = 30.0  # seconds that a file is waited for at least: it is looked at before it stands ready


def main(argv: Sequence[str] | None = None) -> int:
    """`segue-send`, for machines that have the client alone."""
    parser = argparse.ArgumentParser(
        prog="segue-send", description="Sends one message to a Segue server, prints what comes back."
    )
    add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    try:
        return run(args)
    except SegueError as error:
        print(f"segue-send: {error}", file=sys.stderr)
        return 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segue send`."""
    parser.add_argument("address", help="an OSC address; /segue/ may be left away")
    parser.add_argument("args", nargs="*", help="its arguments; numbers are sent as numbers, the rest as text")
    parser.add_argument("--host", default="127.0.0.1", help="machine of the server")
    parser.add_argument("--port", type=int, default=PORT, help="its port")
    parser.add_argument("--in", dest="ahead", type=float, metavar="SECONDS", help="tag the message with a time so far ahead")
    parser.add_argument(
        "--wait", choices=STATES, metavar="STATE", help=f"wait until the job is in this state: {' '.join(STATES)}"
    )
    parser.add_argument("--timeout", type=float, default=5.0, metavar="SECONDS", help="give up after so long without an answer")


def run(args: argparse.Namespace) -> int:
    """0 when the server took the message, 1 when it said no."""
    address = args.address if args.address.startswith("/") else f"/segue/{args.address}"
    with Client(args.host, args.port, timeout=args.timeout) as client:
        try:
            events = list(exchange(client, address, [parsed(text) for text in args.args], args.ahead, args.wait, args.timeout))
        except SegueError as error:
            print(f"segue send: {error}", file=sys.stderr)
            return 1
    if args.json:
        print(json.dumps({"events": [{"address": event.address, "args": list(event.args)} for event in events]}, default=repr))
    else:
        for event in events:
            print(event.address, *event.args)
    return int(any(event.address == "/segue/fail" for event in events))


def exchange(
    client: Client, address: str, values: list[Any], ahead: float | None, wait: str | None, timeout: float
) -> Iterable[Event]:
    """Send, and yield what the server says until it has carried the message out, or the job is where it was waited for."""
    client.ask("/segue/sync", 0)  # what comes before this answer is the state that a new client is told
    for _ in client.events(timeout=0.0):
        pass
    number = client.new_job(address)
    if wait is not None:
        values = [*values, "id", number]
    client.send(address, *values, at=None if ahead is None else time.time() + ahead)
    if wait is not None:
        yield client.job(number, wait, timeout)
    elif address == "/segue/quit":
        yield client.wait(address)
    elif address.endswith("/load") and any(values) and ahead is None:
        yield _loaded(client, address, max(timeout, _LOADING))
    else:
        client.send("/segue/sync", number & 0x7FFF)
        yield from _until_synced(client, timeout)


def _loaded(client: Client, address: str, timeout: float) -> Event:
    """A file is looked at before it stands ready, after the message was carried out; what comes of it is the answer."""
    file = address.removesuffix("load") + "file"
    for event in client.events(timeout):
        if event.address == file or (event.address == "/segue/fail" and event.args[0] == address):
            return event
    raise SegueError(f"{address}: neither loaded nor refused within {timeout:g} s; give it a longer --timeout")


def _until_synced(client: Client, timeout: float) -> Iterable[Event]:
    for event in client.events(timeout):
        if event.address not in _BOOKKEEPING:
            yield event
        elif event.address == "/segue/synced":
            return
    raise SegueError(f"no answer from {client.host} port {client.port} within {timeout:g} s")
