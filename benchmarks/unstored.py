"""The gateway without its disk: what a reading costs up to the point of storing it.

Every message is validated, decoded, folded into its session and published as ever; the
leaf of a reading is made, hashed and dropped, no row is made of it, and it is answered
at once. Boots and starts are stored, so that sessions exist. Usage:
``python unstored.py CONFIG``; never a way to run a site.
"""

import secrets
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from typing_extensions import override

from gateway import app, log
from gateway.config import Config
from gateway.services.sealing import meter_leaf
from gateway.store.entry import Entry, Receipt
from gateway.store.in_order import Batch
from gateway.store.schema import WriterConnection
from gateway.store.sqlite import Store
from gateway.wiring import port
from ledger import record

Done = Callable[[Receipt | None, BaseException | None], None]


class Dropped(Batch):
    """Makes the leaves of readings and drops them."""

    def __init__(self) -> None:
        super().__init__(WriterConnection(":memory:"), None)
        self._offsets = count(1)

    def know(self, receipt: Receipt) -> None:
        """Remember the session of a message that was stored."""
        session = receipt.session
        if session is not None and session.transaction_id is not None:
            key = (session.station_id, session.transaction_id)
            self._conn.remembered[key] = session

    @override
    def flush(self) -> None:
        for stored, _, _ in self._readings:
            _, data, _ = meter_leaf(stored)
            record.commitment(secrets.token_bytes(record.SALT_BYTES), data)
        self._frames, self._readings, self._sessions = [], [], {}

    @override
    def _offset(self) -> int:
        return next(self._offsets)


class Unstored(Store):
    """Answers readings at once; all else is stored."""

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(*args)
        self._dropped = Dropped()

    @override
    def append(self, entry: Entry, on_done: Done) -> None:
        receipt = self._dropped.take(entry)
        if receipt is not None:
            self._dropped.flush()
            on_done(receipt, None)
            return

        def done(stored: Receipt | None, error: BaseException | None) -> None:
            if stored is not None:
                self._dropped.know(stored)
            on_done(stored, error)

        super().append(entry, done)


def main(config: Path) -> int:
    """Run until told to stop; the exit code."""
    log.configure(level="warning")
    vars(port)["Store"] = Unstored  # the wiring makes its store by this name
    return app.run_gateway(Config.load(config))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
