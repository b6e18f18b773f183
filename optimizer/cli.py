"""Solves a problem file for ``python -m optimizer`` and prints a plan to verify."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final, TextIO, assert_never

from optimizer.bundle import PLAN
from optimizer.document import ProblemError, canonical_json, parse_json
from optimizer.outcome import Fallback, Optimal, Outcome, Plan, Relaxed
from optimizer.problem import CabinetProblem
from optimizer.solve import solve

EXIT_OK: Final = 0
EXIT_BAD_INPUT: Final = 2

DEADLINE_S: Final = 10.0


def main(
    path: Path,
    *,
    deadline_s: float = DEADLINE_S,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Read, solve, print one JSON document; return the exit code.

    Args:
        path: A problem as ``CabinetProblem.to_json`` writes it.
        deadline_s: See ``solve``.
        out: Where the outcome goes, default standard output.
        err: Where the message about a wrong input goes, default standard error.

    Returns:
        0, also for a hard day; 2 if the file cannot be read or a field is wrong: the
        message names it.
    """
    try:
        problem = CabinetProblem.from_json(parse_json(path.read_text("utf-8")))
    except ProblemError as exc:
        print(f"{path}: {exc}", file=err or sys.stderr)
        return EXIT_BAD_INPUT
    except (OSError, UnicodeDecodeError) as exc:
        print(f"{path}: cannot be read: {exc}", file=err or sys.stderr)
        return EXIT_BAD_INPUT
    outcome = solve(problem, deadline_s=deadline_s)
    bundle = {"format": PLAN, "problem": problem.to_json()} | outcome_to_json(outcome)
    print(canonical_json(bundle), file=out or sys.stdout)
    return EXIT_OK


def outcome_to_json(outcome: Outcome) -> dict[str, object]:
    """Return an outcome as a JSON object of integers and strings.

    ``outcome`` is ``optimal``, ``relaxed`` or ``fallback``; ``why`` is a text for a
    fallback only.
    """
    match outcome:
        case Optimal(plan=plan, certificate=certificate):
            return _json("optimal", plan, certificate=dict(certificate))
        case Relaxed(plan=plan, certificate=certificate):
            return _json("relaxed", plan, certificate=dict(certificate))
        case Fallback(plan=plan, certificate=certificate, why=why):
            return _json("fallback", plan, certificate=dict(certificate), why=why)
        case _:
            assert_never(outcome)


def _json(
    kind: str,
    plan: Plan,
    *,
    certificate: dict[str, object],
    why: str | None = None,
) -> dict[str, object]:
    fields = asdict(plan)
    fields["start"] = plan.start.isoformat().replace("+00:00", "Z")
    fields["solve_ms"] = round(fields.pop("solve_s") * 1000)
    return {"outcome": kind, "plan": fields, "certificate": certificate, "why": why}
