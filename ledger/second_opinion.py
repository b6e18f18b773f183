"""Asks the optimizer's own verifier what this one cannot tell, where it is installed.

It runs as a process of its own: the two share no code, and neither can spoil what the
other says.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib import util
from pathlib import Path
from typing import Final

from ledger.certificate import ROUNDING
from ledger.verdicts import Check, Verdict, VerificationReport

TIMEOUT_S: Final = 120


def with_second_opinion(report: VerificationReport, path: Path) -> VerificationReport:
    """Have the optimizer check the file too, where its word is missing.

    Args:
        report: Of this verifier.
        path: The file; the optimizer reads it again.
    """
    if util.find_spec("optimizer") is None:
        return report
    checks = tuple(
        _asked(path)
        if check.name == ROUNDING and check.verdict is Verdict.UNCHECKED
        else check
        for check in report.checks
    )
    return replace(report, checks=checks)


def _asked(path: Path) -> Check:
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and module
            [
                *(sys.executable, "-P", "-m", "optimizer"),
                *("verify", "--json", "--", str(path.absolute())),
            ],
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        said = json.loads(done.stdout)
        if "error" in said:
            return Check.open(ROUNDING, f"wattproof-optimizer: {said['error']}")
        found = {one["name"]: one for one in said["checks"]}["certificate"]
        verdict, reason = Verdict(found["verdict"]), str(found["reason"])
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return Check.open(ROUNDING, "wattproof-optimizer gave no answer")
    return Check(
        name=ROUNDING, verdict=verdict, reason=f"wattproof-optimizer: {reason}"
    )
