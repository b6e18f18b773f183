"""The release of the optimizer that the demo runs, for its own AlgorithmRegistry.

The demo's chain is its own, so nobody else names the algorithm there. It builds the
wheel of the tree that it runs from, which takes under a second and no network, while
the site starts. From an installed wheel there is no tree: nothing is released then, and
the verifier says so of its plans.
"""

import asyncio
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from gateway.services.anchoring import Anchoring
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from ledger.settle import AlgorithmRelease

_log = structlog.get_logger()


async def release_optimizer(anchoring: Anchoring, since: datetime) -> None:
    """Build and name the release; the chain takes it with its next step.

    Args:
        anchoring: Whose chain it is for.
        since: Before the first plan, in site time.
    """
    try:
        release = await asyncio.to_thread(_built, since)
    except LedgerError as error:
        _log.info("demo.unreleased", why=str(error))
        return
    anchoring.release(release)


def _built(since: datetime) -> "AlgorithmRelease":
    # Imported here: the EVM's types take a second to load, and only this thread waits.
    from ledger.release import prepare_release  # noqa: PLC0415 - see above

    with tempfile.TemporaryDirectory() as scratch:
        return prepare_release(Path(scratch), is_compared=False).entry(since, "")
