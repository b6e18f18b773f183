"""The gateway on a disk that takes its time: a pause is added to every commit.

Virtual disks often acknowledge a sync in microseconds; a real one takes 0.5 to 10 ms.
Usage: ``python slow_disk.py SECONDS CONFIG``; nothing but the writer is changed.
"""

import sys
from functools import partial
from pathlib import Path

from gateway import app, log
from gateway.config import Config
from gateway.store.writer import Writer
from gateway.wiring import parts


def main(commit_delay_s: float, config: Path) -> int:
    """Run until told to stop; the exit code."""
    log.configure(level="warning")
    slow = partial(Writer, commit_delay_s=commit_delay_s)
    vars(parts)["Writer"] = slow  # the wiring makes its writer by this name
    return app.run_gateway(Config.load(config))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), Path(sys.argv[2])))
