"""A process that appends for ever and prints what was acknowledged; it gets killed."""

import sys
from functools import partial
from pathlib import Path

from gateway.store.sqlite import Hooks, append_entry
from gateway.store.writer import Writer
from tests.support.journal import accept, entry, register, started, updated

STATIONS = 4


def main(path: Path, first: int) -> None:
    """Start a session a round, add a sample, print both once they are on disk."""
    writer = Writer(path)
    writer.start()
    hooks = Hooks(judge=accept)
    number = first
    while True:
        waiting = []
        for evse in range(1, STATIONS + 1):
            start = started(number, evse=evse, wire_id=f"{number}-{evse}", sequence=0)
            sample = updated(
                number + 0.5,
                evse=evse,
                wire_id=f"{number}-{evse}",
                sequence=1,
                readings=(register(number + 0.5, 1000 + number),),
            )
            for event in (start, sample):
                message = entry(event, ours=False)
                waiting.append(
                    writer.submit(partial(append_entry, entry=message, hooks=hooks))
                )
        for future in waiting:
            receipt = future.result()
            assert receipt.session is not None
            print(receipt.session.transaction_id, receipt.offset, flush=True)  # noqa: T201 - the protocol
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
