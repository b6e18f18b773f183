"""Brings a station's local authorization list to what it shall be, message by message.

The station's list is known only through its answers. What is held and what is wanted
decide the next message; the answer decides what is held. A full list that is too long
for one message becomes a full part and differential rest by that alone (2.0.1, D01).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

ListKey: TypeAlias = tuple[str, str]
"""Folded value and type; the type is empty where the version has none."""

MAX_REPAIRS: Final = 2
"""Full lists that follow a refusal, before the station is left alone."""
MAX_VERSION: Final = 2**31 - 1
DEFAULT_PER_MESSAGE: Final = 50
"""Entries in one message to a station that does not say how many it takes."""
DEFAULT_BYTES: Final = 32_768
"""Bytes of entries in one message to a station that does not say how many it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One entry.

    Attributes:
        status: ``Accepted``, ``Blocked``, ``Expired`` or ``NoCredit``.
        evse_ids: The only EVSEs it is good for; empty for all.
    """

    value: str
    kind: str
    status: str
    expires_at: datetime | None = None
    group: str | None = None
    evse_ids: tuple[int, ...] = ()
    language: str | None = None

    document: str = field(init=False, compare=False, repr=False)
    """The entry as text; equal entries have equal text."""

    def __post_init__(self) -> None:
        expires_at = None if self.expires_at is None else self.expires_at.isoformat()
        document = json.dumps(
            [
                self.value,
                self.kind,
                self.status,
                expires_at,
                self.group,
                self.evse_ids,
                self.language,
            ],
            ensure_ascii=False,
            separators=(",", ":"),
        )
        object.__setattr__(self, "document", document)

    @property
    def key(self) -> ListKey:
        """What is unique in a list."""
        return (self.value.casefold(), self.kind)

    @classmethod
    def from_document(cls, text: str) -> "Listed":
        """Read what `document` wrote."""
        value, kind, status, expires_at, group, evse_ids, language = json.loads(text)
        return cls(
            value=value,
            kind=kind,
            status=status,
            expires_at=None
            if expires_at is None
            else datetime.fromisoformat(expires_at),
            group=group,
            evse_ids=tuple(evse_ids),
            language=language,
        )


Documents: TypeAlias = Mapping[ListKey, str]
"""Entries as text, by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a station holds, as far as its answers tell."""

    version: int
    entries: Documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a station takes; ``None`` where it does not say.

    Attributes:
        max_entries: In its list.
        per_message: Entries in one message.
        bytes_per_message: Of one message.
        is_enabled: Whether it uses the list.
        is_available: False: it has no such list.
    """

    max_entries: int | None = None
    per_message: int | None = None
    bytes_per_message: int | None = None
    is_enabled: bool | None = None
    is_available: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One message: the whole list, or changes to it.

    Attributes:
        version: Of the list once the message was applied; above 0.
        put: Entries to add or replace; with ``is_full`` all there are.
        drop: Entries to remove.
    """

    is_full: bool
    version: int
    put: tuple[Listed, ...] = ()
    drop: tuple[Listed, ...] = ()


class UpdateStatus(StrEnum):
    """What a station says to an update (1.6, 7.47; 2.0.1, SendLocalListStatus)."""

    ACCEPTED = "Accepted"
    FAILED = "Failed"
    NOT_SUPPORTED = "NotSupported"
    VERSION_MISMATCH = "VersionMismatch"


class ListState(StrEnum):
    """How far a station's list is."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    SYNCED = "synced"
    FAILED = "failed"
    UNSUPPORTED = "unsupported"


@dataclass(slots=True, kw_only=True)
class Sync:
    """One round with one station: ask `next`, send, tell `answered`, until done.

    Attributes:
        held: ``None`` while unknown: the list then starts anew.
        wanted: As many entries as the station has room for; see `fitting`.
        last_version: The highest version that was ever used with the station.
        size: Bytes of an entry on the wire.
        state: ``pending`` until it is over.
    """

    held: Held | None
    wanted: Documents
    room: Room
    last_version: int
    size: Callable[[Listed], int]
    state: ListState = ListState.PENDING
    detail: str = ""
    _repairs: int = field(default=0, init=False)

    @property
    def needs_version(self) -> bool:
        """The station refused a whole list for its version: ask which one it has."""
        return self.state is ListState.PENDING and self.detail == "version"

    def station_has(self, version: int) -> None:
        """The station's own word on its version, where it was asked."""
        self.last_version = max(self.last_version, version)
        self.detail = ""

    def next(self) -> Update | None:
        """The next message; ``None`` when the round is over."""
        if self.state is not ListState.PENDING:
            return None
        if self.held is None:
            return self._whole()
        held = self.held.entries
        if held == self.wanted:
            self.state = ListState.SYNCED
            return None
        drops = [text for key, text in held.items() if key not in self.wanted]
        puts = [text for key, text in self.wanted.items() if held.get(key) != text]
        if len(drops) + len(puts) > len(self.wanted):
            return self._whole()
        # What goes makes room for what comes.
        chosen = tuple(self._chunk(Listed.from_document(text) for text in drops))
        if chosen:
            return Update(is_full=False, version=self._version(), drop=chosen)
        chosen = tuple(self._chunk(Listed.from_document(text) for text in puts))
        return Update(is_full=False, version=self._version(), put=chosen)

    def answered(self, update: Update, status: UpdateStatus) -> None:
        """Take the station's answer to the latest message."""
        if status is UpdateStatus.ACCEPTED:
            self.held = applied(self.held, update)
            self.last_version = max(self.last_version, update.version)
            return
        self.held = None
        if status is UpdateStatus.NOT_SUPPORTED:
            self.state = ListState.UNSUPPORTED
            self.detail = "the station does not support local lists"
            return
        self._repairs += 1
        if update.is_full and status is UpdateStatus.FAILED:
            self._give_up("the station did not take the list")
        elif self._repairs > MAX_REPAIRS:
            self._give_up("the station refuses whatever version it is sent")
        elif update.is_full:
            self.last_version = max(self.last_version, update.version)
            self.detail = "version"

    def _give_up(self, why: str) -> None:
        self.state, self.detail = ListState.FAILED, why

    def _whole(self) -> Update:
        entries = (Listed.from_document(text) for text in self.wanted.values())
        return Update(
            is_full=True, version=self._version(), put=tuple(self._chunk(entries))
        )

    def _version(self) -> int:
        known = 0 if self.held is None else self.held.version
        return max(self.last_version, known, 0) % MAX_VERSION + 1

    def _chunk(self, entries: Iterable[Listed]) -> Iterator[Listed]:
        """As many as one message takes, one at least."""
        most = self.room.per_message or DEFAULT_PER_MESSAGE
        budget = self.room.bytes_per_message or DEFAULT_BYTES
        for index, entry in enumerate(entries):
            budget -= self.size(entry)
            if index > 0 and (index >= most or budget < 0):
                return
            yield entry


def applied(held: Held | None, update: Update) -> Held | None:
    """What is held after an accepted update; a change of the unknown is unknown."""
    if held is None and not update.is_full:
        return None
    entries: dict[ListKey, str] = {}
    if held is not None and not update.is_full:
        entries = dict(held.entries)
    for gone in update.drop:
        entries.pop(gone.key, None)
    entries |= {entry.key: entry.document for entry in update.put}
    return Held(version=update.version, entries=entries)


def fitting(
    entries: Mapping[ListKey, Listed], max_entries: int | None
) -> tuple[dict[ListKey, str], int]:
    """As text, no more than there is room for, and how many are left out.

    Those who may charge come first: a station that is offline lets only them in.
    """
    if max_entries is None or len(entries) <= max_entries:
        return {key: entry.document for key, entry in entries.items()}, 0
    chosen = sorted(
        entries.values(), key=lambda entry: (entry.status != "Accepted", entry.key)
    )[:max_entries]
    left_out = len(entries) - max_entries
    return {entry.key: entry.document for entry in chosen}, left_out
