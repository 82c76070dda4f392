"""Every feature of OSC that the table in docs/CONFORMANCE.md names is taken, and the table names what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from segue.bench import osc_conformance

PAGE = Path(__file__).resolve().parent.parent / "docs" / "CONFORMANCE.md"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return osc_conformance.table()


def test_this_server_takes_everything(rows):
    assert [row["feature"] for row in rows if row["segue"] != "yes"] == []
    assert len(rows) > 20


def test_the_page_says_of_this_server_and_of_python_osc_what_was_measured(rows):
    page = PAGE.read_text(encoding="utf-8")
    same = osc_conformance.versions()["python-osc"] in page
    for row in rows:
        (line,) = [line for line in page.splitlines() if line.startswith(f"| {row['feature']} |")]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1] == row["segue"]
        assert not same or cells[3] == row["python-osc"]
        assert row["liblo"] in (cells[2], osc_conformance.NO_PEER)
