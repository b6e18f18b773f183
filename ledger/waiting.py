"""Documents under a head that the log has not shown yet: they wait, not for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from ledger import merkle
from ledger.checkpoint import Checkpoint
from ledger.errors import NoteError


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A disclosed leaf whose document holds together, but under a head still unseen.

    Attributes:
        alarm: Word of the alarm if the log never has this head.
        index: Of the leaf.
        kind: Of the leaf.
        size: Leaves of the document's head; more than the log showed.
        root: Of the document's head.
        since: When it was seen first; aware UTC.
    """

    alarm: str
    index: int
    kind: str
    size: int
    root: bytes
    since: datetime | None = None

    def to_json(self) -> dict[str, object]:
        """Return it as JSON."""
        return {
            "alarm": self.alarm,
            "index": self.index,
            "kind": self.kind,
            "size": self.size,
            "root": self.root.hex(),
            "since": None if self.since is None else self.since.isoformat(),
        }

    @staticmethod
    def of_json(found: Mapping[str, Any]) -> Waiting:
        """Read `to_json` back.

        Raises:
            NoteError: It is something else.
        """
        try:
            since = found["since"]
            return Waiting(
                alarm=str(found["alarm"]),
                index=int(found["index"]),
                kind=str(found["kind"]),
                size=int(found["size"]),
                root=bytes.fromhex(found["root"]),
                since=None if since is None else datetime.fromisoformat(since),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise NoteError(f"not a leaf that waits: {error}") from error


class ProvesPrefix(Protocol):
    """The tiles of a log."""

    def proves_prefix(self, old_size: int, old_root: bytes, root: bytes) -> bool:
        """Say whether an older head is one of this log."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of leaves that waited.

    Attributes:
        waiting: These still do.
        held: Under a head of this log.
        faults: Lines of alarms, of the others.
    """

    waiting: tuple[Waiting, ...]
    held: tuple[Waiting, ...]
    faults: tuple[str, ...]


def judge(
    waiting: Sequence[Waiting],
    checkpoint: Checkpoint,
    tiles: ProvesPrefix,
    now: datetime,
    patience_s: float,
) -> Judged:
    """Hold each head against a log that may have grown.

    Args:
        waiting: Leaves that wait.
        checkpoint: What the log shows now.
        tiles: Of the log.
        now: Aware UTC.
        patience_s: A head that the log did not come to for so long is invented.

    Raises:
        SourceError: The log cannot be asked now.
    """
    still, held, faults = [], [], []
    for one in waiting:
        since = now if one.since is None else one.since
        what = f"{one.alarm}: leaf {one.index}: its document has a head"
        if one.size <= checkpoint.size:
            is_held = len(one.root) == merkle.HASH_BYTES and tiles.proves_prefix(
                one.size, one.root, checkpoint.root
            )
            if is_held:
                held.append(one)
            else:
                faults.append(f"{what} of {one.size} leaves that this log never had")
        elif now - since > timedelta(seconds=patience_s):
            faults.append(
                f"{what} of {one.size} leaves, and since"
                f" {since.isoformat(timespec='seconds')} the log never came to it:"
                f" it has {checkpoint.size}"
            )
        else:
            still.append(one)
    return Judged(waiting=tuple(still), held=tuple(held), faults=tuple(faults))
