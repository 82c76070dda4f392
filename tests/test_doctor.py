"""Doctor looks at everything, whatever is missing."""

import argparse
import contextlib
import json
import socket

from segue.server import doctor
from segue.server.commands import PORT


def test_every_check_reports_and_says_what_to_do(capsys):
    doctor.run(argparse.Namespace(json=True))
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert [c["name"] for c in checks] == [c.__name__ for c in doctor.CHECKS]
    assert all(c.keys() == {"name", "ok", "found", "advice"} for c in checks)
    assert all(c["found"] for c in checks)
    assert all(c["advice"] for c in checks if not c["ok"])


def test_a_check_that_raises_is_a_finding():
    def broken():
        raise LookupError("nothing\nthere")

    check = doctor.examine(broken)
    assert (check.name, check.ok) == ("broken", False)
    assert check.found == "could not be checked: LookupError: nothing there"


def test_a_taken_port_is_seen():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        with contextlib.suppress(OSError):  # taken by something else, which serves as well
            taken.bind(("127.0.0.1", PORT))
        check = doctor.osc_port()
    assert not check.ok
    assert "UDP" in check.found


def test_exit_code_tells_whether_it_could_play(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", (lambda: doctor.Check("jack", False, "none", "start it"),))
    assert doctor.run(argparse.Namespace(json=False)) == 0
    monkeypatch.setattr(doctor, "CHECKS", (lambda: doctor.Check("weights", False, "none", "reinstall"),))
    assert doctor.run(argparse.Namespace(json=False)) == 1
    assert "-> reinstall" in capsys.readouterr().out


def test_the_callback_is_compared_with_its_twin():
    check = doctor.callback()
    assert "differs" not in check.found
