"""Entry point of ``python -m optimizer PROBLEM.json``."""

import argparse
import sys
from pathlib import Path

from optimizer.cli import DEADLINE_S, main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="wattproof solve",
        description="Plan the charging of one group of cabinets.",
    )
    parser.add_argument("problem", type=Path, help="JSON file with the problem")
    parser.add_argument("--deadline-s", type=float, default=DEADLINE_S)
    given = parser.parse_args()
    sys.exit(main(given.problem, deadline_s=given.deadline_s))
