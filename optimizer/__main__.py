"""Entry point of ``python -m optimizer PROBLEM.json`` and ``... verify FILE``."""

import argparse
import sys
from pathlib import Path


def _solve() -> int:
    from optimizer.cli import DEADLINE_S, main  # noqa: PLC0415 - verifying needs no numpy

    parser = argparse.ArgumentParser(
        prog="wattproof solve",
        description="Plan the charging of one group of cabinets.",
    )
    parser.add_argument("problem", type=Path, help="JSON file with the problem")
    parser.add_argument("--deadline-s", type=float, default=DEADLINE_S)
    given = parser.parse_args()
    return main(given.problem, deadline_s=given.deadline_s)


def _run() -> int:
    if sys.argv[1:2] != ["verify"]:
        return _solve()
    from optimizer import verify_cli  # noqa: PLC0415 - see above

    return verify_cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(_run())
