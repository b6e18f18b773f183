"""The command of the optimizer's benchmark: cases, tables, results put together."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import harness
from benchmarks.bench_optimizer import cases, main

PARTS = ("quality", "uncongested", "robust", "undeclared")


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench_optimizer.py", *arguments])
    main()


def test_every_part_has_cases_and_no_two_share_a_name() -> None:
    names = [case.name for part in PARTS for case in cases(part)]
    assert all(cases(part) for part in PARTS)
    assert len(names) == len(set(names))
    assert {"work 63 A", "public 50 A", "home 100 A", "work 63 A, early"} <= set(names)


def test_results_made_in_parts_give_the_table_of_one_run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(harness, "machine", dict)
    chosen = ("quality", "--cases", "public 50", "--policies", "edf,llf")
    for seed in ("1", "2"):
        call(
            monkeypatch,
            *chosen,
            "--seeds",
            f"{seed}-{seed}",
            "--json",
            str(tmp_path / f"{seed}.json"),
        )
    capsys.readouterr()
    call(monkeypatch, "report", str(tmp_path / "1.json"), str(tmp_path / "2.json"))
    parts = capsys.readouterr().out
    assert "**public 50 A** (2 days)" in parts
    assert [line.split(" | ")[0] for line in parts.splitlines()[4:8]] == [
        "| offline",
        "| offline in whole A",
        "| edf",
        "| llf",
    ]
    found = json.loads((tmp_path / "1.json").read_text("utf-8"))
    day = found["runs"]["public 50 A"]["edf"]["1"]
    assert day["violation_a"] == 0
    assert len(day["served"]) == 30


def test_an_unknown_policy_is_refused_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call(monkeypatch, "quality", "--policies", "edf,best")
    assert "uncontrolled" in capsys.readouterr().err
