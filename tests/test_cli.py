"""The command's own manners: one line for whatever goes wrong, exit codes, JSON on standard output alone."""

import json
import subprocess
import sys
import types

import pytest

from segue.server import cli


@pytest.fixture
def program(monkeypatch):
    """Puts a sub-command `fake` in place whose run is the given function."""

    def put(run, add_arguments=lambda parser: None):
        fake = types.SimpleNamespace(__doc__="Fake.", add_arguments=add_arguments, run=run)
        monkeypatch.setitem(sys.modules, "fake_program", fake)
        monkeypatch.setattr(cli, "COMMANDS", {"fake": ("a fake", "fake_program")})

    return put


def raising(error):
    def run(args):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (OSError("port 7348 is in use; choose another"), 2, "segue fake: port 7348 is in use; choose another\n"),
        (FileNotFoundError(2, "No such file or directory", "x.wav"), 2, "segue fake: x.wav: No such file or directory\n"),
        (ValueError("got\ntwo lines"), 2, "segue fake: got two lines\n"),
        (ModuleNotFoundError(name="rtmidi"), 2, f"segue fake: {cli.sentence(ModuleNotFoundError(name='rtmidi'))}\n"),
        (KeyError("deck"), 1, "segue fake: unexpected KeyError: 'deck'; `--debug` shows where\n"),
    ],
)
def test_every_error_is_one_line(program, capsys, error, code, text):
    program(raising(error))
    assert cli.main(["fake"]) == code
    assert capsys.readouterr() == ("", text)


def test_debug_shows_the_traceback(program, capsys):
    program(raising(KeyError("deck")))
    assert cli.main(["fake", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_exit_codes_pass_through(program):
    program(lambda args: 3)
    assert cli.main(["fake"]) == 3
    program(raising(KeyboardInterrupt()))
    assert cli.main(["fake"]) == cli.INTERRUPTED


def test_a_program_may_declare_json_itself(program):
    program(lambda args: 5 if args.json == "x" else 1, lambda parser: parser.add_argument("--json"))
    assert cli.main(["fake", "--json", "x"]) == 5


@pytest.mark.parametrize("argv", [["--wrong"], ["--help-me"], ["extra"]])
def test_wrong_arguments_are_one_line_and_code_2(program, capsys, argv):
    program(lambda args: 0)
    with pytest.raises(SystemExit) as left:
        cli.main(["fake", *argv])
    assert left.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1


@pytest.mark.parametrize("argv", [["serv"], ["train", "everything"]])
def test_unknown_commands_name_those_there_are(capsys, argv):
    assert cli.main(argv) == 2
    assert "; there are " in capsys.readouterr().err


def test_no_command_prints_help_and_is_not_success(capsys):
    assert cli.main([]) == 2
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in cli.COMMANDS)


def test_bench_without_a_program_times_the_engine():
    assert cli.choose("segue", "", cli.COMMANDS, ["bench", "--model", "x"]) == (
        "segue bench engine", "segue.bench.engine", ["--model", "x"],
    )  # fmt: skip


def test_what_an_extra_brings_is_named():
    assert cli.sentence(ModuleNotFoundError(name="rtmidi")).endswith("pip install 'segue[midi]'")
    assert "make setup" in cli.sentence(ModuleNotFoundError(name="torch"))


def test_every_target_names_a_file(request):
    root = request.config.rootpath
    targets = [target for _, target in (*cli.COMMANDS.values(), *cli.TRAIN.values()) if target not in cli.GROUPS]
    places = [root / target.partition(":")[0].removeprefix("segue.").replace(".", "/") for target in targets]
    assert [str(p) for p in places if not p.with_suffix(".py").exists()] == []


def test_commands_lists_the_whole_table_as_one_json_object():
    done = subprocess.run([sys.executable, "-m", "segue", "commands", "--json"], capture_output=True, text=True, check=True)
    from segue.server.commands import SPECS

    listed = json.loads(done.stdout)["commands"]
    assert [c["address"] for c in listed] == [s.address for s in SPECS]
    assert {"address", "types", "args", "access", "reply", "doc"} <= set(listed[0])
    assert {"name", "type", "unit", "range", "default"} <= set(next(c for c in listed if c["args"])["args"][0])


def test_a_reader_that_goes_away_is_no_error():
    done = subprocess.run(f"{sys.executable} -m segue commands | head -1", shell=True, capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("address")
