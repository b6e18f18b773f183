"""``python -m ledger verify receipt.json``: the ledger on the command line.

Exit codes: 0 ok, 1 a check failed, 2 not such a file or bad usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from ledger import escrow_cli, operator_cli, release_cli, verify_cli, witness_cli


def main(argv: Sequence[str] | None = None, *, prog: str = "wattproof") -> int:
    """Run the command line and return the exit code.

    Args:
        argv: Arguments; ``None``: those of the process.
        prog: What usage calls the program.
    """
    parser = argparse.ArgumentParser(prog=prog)
    commands = parser.add_subparsers(dest="command", required=True)
    verify_cli.add_command(commands)
    operator_cli.add_commands(commands)
    escrow_cli.add_commands(commands)
    release_cli.add_commands(commands)
    witness_cli.add_command(commands)
    arguments = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(prog="python -m ledger"))
