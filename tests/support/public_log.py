"""A log with a public export in a folder, and a witness that follows it."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ledger import record
from ledger.disclosed import RecordChecks
from ledger.export import Disclose, write_folder
from ledger.log_source import FolderSource
from ledger.note import Algorithm, SigningKey
from ledger.public_leaves import seal_status, time_text
from ledger.sqlite_store import DDL, SqliteStore, append_leaf
from ledger.witness import CheckChain, Look, Witness, WitnessSettings
from ledger.witness_state import StateFile

START = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
LOG_KEY = SigningKey.of(
    bytes(range(32)), name="example.org/log", algorithm=Algorithm.NOTE
)
WITNESS_KEY = SigningKey.of(
    bytes(range(32)), name="witness.example", algorithm=Algorithm.COSIGNATURE
)


@dataclass
class PublicLog:
    """A log, and what of it is out."""

    folder: Path
    conn: sqlite3.Connection
    at: datetime = START
    chain: Mapping[str, object] | None = None
    kinds: frozenset[str] = frozenset({"status", "asset", "plan", "settlement"})
    document: Disclose = field(default=lambda _leaf: None)

    @property
    def store(self) -> SqliteStore:
        return SqliteStore(self.conn)

    def read(self, n_reading: int, *, station: str = "CP") -> None:
        for _ in range(n_reading):
            at = time_text(self.at)
            body: dict[str, object] = {
                "session_id": "a person's session",
                "station_id": station,
                "evse_id": 1,
                "occurred_at": at,
                "received_at": at,
                "register_milliwh": 1,
            }
            self.leaf("meter", "", body)

    def leaf(self, kind: str, subject: str, body: dict[str, object]) -> int:
        data = record.canonical(kind, body)
        return append_leaf(self.conn, kind, subject, data, None, time_text(self.at))

    def status(self, packed: bytes = b"\1" * 13) -> int:
        return seal_status(self.conn, packed, self.at)

    def publish(self, key: SigningKey = LOG_KEY) -> None:
        self.at += timedelta(seconds=900)
        write_folder(
            self.store,
            self.folder,
            key,
            at=time_text(self.at),
            chain=self.chain,
            kinds=self.kinds,
            document=self.document,
        )


def public_log(folder: Path, **more: Any) -> PublicLog:
    conn = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    conn.executescript(DDL)
    return PublicLog(folder=folder, conn=conn, **more)


@dataclass
class Follower:
    """A witness with a clock of its own; a new process for every look."""

    log: PublicLog
    state: Path
    checks: RecordChecks = field(default_factory=RecordChecks)
    check_chain: CheckChain | None = None
    settings: WitnessSettings = field(default_factory=WitnessSettings)

    def look(self, *, after_s: float = 0.0) -> Look:
        witness = Witness(
            source=FolderSource(self.log.folder),
            file=StateFile(self.state),
            settings=self.settings,
            check_record=self.checks,
            check_chain=self.check_chain,
            key=WITNESS_KEY,
        )
        return witness.look(self.log.at + timedelta(seconds=after_s))


def words(look: Look) -> list[str]:
    """The alarms of a look, in a word each."""
    return [one.alarm.value for one in look.objections]


def rewrite(folder: Path, paths: Iterable[str], old: bytes, new: bytes) -> int:
    """Change bytes in some of an export's files; returns in how many."""
    changed = 0
    for path in paths:
        data = (folder / path).read_bytes()
        changed += old in data
        (folder / path).write_bytes(data.replace(old, new))
    return changed


def files(folder: Path, part: str) -> Sequence[str]:
    """The files of one part of an export."""
    return [
        str(path.relative_to(folder))
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    ]
