"""`segue bench figures`: tables and aims come from stored rows, and what nobody measured is said to be so."""

import json
from dataclasses import asdict, replace

import pytest

from segue.bench.engine import Row
from segue.server import cli

TAKE = Row("live", None, "continuation", "eager", "clean", 4, 1, 6.0, 3.5, 9, 0.35, 0.4, 0.1, 900.0, 0.08, 0.0, 0.3, 0.33, 0.0)
PART = Row("live", "denoiser", None, "eager", None, None, 4, 6.0, None, 9, 0.04, 0.05, 0.002)


def written(folder, name, gpu, rows):
    report = {"machine": "a machine", "gpu": gpu, "versions": {"torch": "2", "none": ""}, "rows": [asdict(row) for row in rows]}
    (folder / name).write_text(json.dumps(report))


def figures(folder, capsys, *options):
    assert cli.main(["bench", "figures", "--results", str(folder), *options]) == 0
    return capsys.readouterr().out


def test_the_tables_hold_what_was_measured_and_name_what_was_not(tmp_path, capsys):
    fast = replace(TAKE, backend="quick", cpu_s=0.12, median_s=0.15, rtf=0.05, take_error=0.004)
    written(tmp_path, "engine.json", None, [TAKE, fast, PART])
    told = figures(tmp_path, capsys)
    assert (
        "| live | continuation, clean, 4 steps | quick | 6 | 1 | 150.0 | 400.0 | 120.0 | 0.050 | 80.00 | 900 | 0e+00 | 4e-03 |"
        in told
    )
    assert "| live | denoiser | eager | 6 | 4 | 40.0 | 50.0 |  | 0.002 |  |  |  |  |" in told
    assert "time over new audio: at most 0.25; 0.05, met" in told
    assert "processor time over eager's: at most 0.5; 0.4, met" in told
    assert told.count("not measured") == 6
    assert "torch 2\n" in told


def test_an_aim_that_is_missed_is_said(tmp_path, capsys):
    written(tmp_path, "engine.json", None, [TAKE])
    launched = replace(TAKE, backend="tensorrt-rtx, one launch", p99_s=0.005)
    guided = replace(launched, model="live-300m", guidance="guided", p99_s=0.0072)
    written(tmp_path, "gpu.json", "a card", [launched, guided, replace(guided, guidance="clean", p99_s=0.002)])
    told = figures(tmp_path, capsys)
    assert "processor time over eager's: at most 0.5; 1, missed" in told
    assert "live, the consistency step alone, p99: at most 4 ms; 5 ms, missed" in told
    assert "guided over unguided: at most 2.5 times; 3.6 times, missed" in told
    aims = {aim["aim"]: aim["value"] for aim in json.loads(figures(tmp_path, capsys, "--json"))["aims"]}
    assert aims["live on a CPU, continuation of 4 steps, time over new audio"] == pytest.approx(0.1)
    assert aims["paper-latent, 8 unguided steps, one launch, p99"] is None


def test_without_results_it_says_what_makes_them(tmp_path, capsys):
    assert cli.main(["bench", "figures", "--results", str(tmp_path)]) == 2
    assert "segue bench engine --out" in capsys.readouterr().err
