"""The log's public export: what strangers may have of it, and what they say of it.

The checkpoint is made anew once per timestep only, and nothing beyond it is answered:
how fast the log grows within a timestep would show when somebody charges.
"""

import asyncio
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.clock import Clock
from gateway.errors import RequestError, StartupError
from gateway.services.anchoring import Anchoring
from gateway.services.receipts import KnowsChain, Receipts
from gateway.store import cosignatures
from gateway.store.cosignatures import Cosignature
from gateway.store.times import to_text
from gateway.store.writer import Writer
from ledger import export, log
from ledger.checkpoint import Checkpoint, TilePath
from ledger.errors import NoteError, ProofError
from ledger.note import Algorithm, SigningKey, VerifierKey, parse_note
from ledger.sqlite_store import SqliteStore

PRIVATE_KINDS: Final = frozenset({"plan", "settlement"})
"""What auditors may see beside what is public."""
HEADS_FORMAT: Final = "wattproof-heads/1"
MAX_SEEN_S: Final = 2**33


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicLogSettings:
    """What the export needs of the configuration.

    Attributes:
        key_path: The log's own key; made on first use.
        step_s: How often the checkpoint is made anew, site seconds.
        follows_anchors: Whether an anchor brings a new checkpoint at once: where its
            transaction is public anyway.
        witnesses: Texts of the keys of witnesses whose cosignatures are kept.
    """

    key_path: Path
    step_s: int
    follows_anchors: bool = False
    witnesses: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Made:
    """A checkpoint, and when it was made."""

    checkpoint: Checkpoint
    note: str
    at: datetime


class PublicLog:
    """Answers for the pieces of the export.

    Args:
        settings: See there.
        receipts: Makes what goes with records.
        anchoring: Knows the chain.
        writer: Keeps cosignatures.
        clock: Site clock.

    Raises:
        StartupError: The key, or one of a witness, cannot be used.
    """

    def __init__(
        self,
        *,
        settings: PublicLogSettings,
        receipts: Receipts,
        anchoring: Anchoring,
        writer: Writer,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._receipts = receipts
        self._anchoring = anchoring
        self._writer = writer
        self._clock = clock
        self._key = load_key(settings.key_path)
        self._witnesses = tuple(_witness(text) for text in settings.witnesses)
        self._making = asyncio.Lock()
        self._made: _Made | None = None

    async def piece(self, path: str, *, is_auditor: bool = False) -> bytes:
        """A piece of the export, by its path.

        Args:
            path: ``checkpoint``, ``key``, ``chain``, or as `TilePath` writes it.
            is_auditor: Whether plans and settlements are disclosed, too.

        Raises:
            RequestError: 404 there is no such piece.
        """
        match path:
            case export.CHECKPOINT:
                return (await self._checkpoint()).note.encode()
            case export.KEY:
                return f"{self._key.verifier.text}\n".encode()
            case export.CHAIN:
                return json.dumps(chain_of(self._anchoring)).encode()
            case _:
                return await self._tile(path, is_auditor=is_auditor)

    async def heads(self, size: int) -> dict[str, object]:
        """Cosigned heads with the proofs between them and the log of a size.

        For ``wattproof verify --heads``.

        Raises:
            RequestError: 404 the log has no such size yet.
        """
        made = await self._checkpoint()
        if not 0 < size <= made.checkpoint.size:
            raise RequestError(404, "not_found", "the log has no such size yet")
        return await asyncio.to_thread(self._receipts.read, lambda c: _heads(c, size))

    async def witnessed(self) -> list[dict[str, object]]:
        """What each witness cosigned last."""
        found = await asyncio.to_thread(self._receipts.read, cosignatures.newest)
        return [
            {
                **asdict(one),
                "root": one.root.hex(),
                "seen_at": to_text(one.seen_at),
                "received_at": to_text(one.received_at),
            }
            for one in found
        ]

    async def cosign(self, data: bytes) -> None:
        """Keep what a witness says of a checkpoint of this log.

        Raises:
            RequestError: 422 it is no such note, 403 it is of no witness that is known.
        """
        try:
            note = parse_note(data)
            checkpoint = Checkpoint.parse(note.text)
        except NoteError as error:
            raise RequestError(422, "bad_note", str(error)) from error
        if not note.is_signed_by(self._key.verifier):
            raise RequestError(422, "bad_note", "not a checkpoint of this log")
        now = self._clock.now()
        found = [
            Cosignature(
                witness=key.name,
                size=checkpoint.size,
                root=checkpoint.root,
                note=data.decode(),
                seen_at=datetime.fromtimestamp(seen_s, UTC),
                received_at=now,
            )
            for key in self._witnesses
            if (seen_s := note.seen_at(key)) is not None and seen_s < MAX_SEEN_S
        ]
        if not found:
            raise RequestError(403, "unknown_witness", "no witness that is known here")

        def job(conn: sqlite3.Connection) -> None:
            for one in found:
                cosignatures.keep(conn, one)

        await self._writer.run(job)

    async def _checkpoint(self) -> _Made:
        """The checkpoint of this timestep."""
        async with self._making:
            now, made = self._clock.now(), self._made
            step = timedelta(seconds=self._settings.step_s)
            size = 0
            if self._settings.follows_anchors:
                size = self._anchoring.state.anchored_size
            if made is None or now - made.at >= step or size > made.checkpoint.size:
                name = self._key.verifier.name
                checkpoint = await asyncio.to_thread(
                    self._receipts.read,
                    lambda conn: export.look(SqliteStore(conn), name, to_text(now)),
                )
                note = export.checkpoint_note(checkpoint, self._key)
                made = self._made = _Made(checkpoint, note, now)
            return made

    async def _tile(self, text: str, *, is_auditor: bool) -> bytes:
        try:
            path = TilePath.parse(text)
        except NoteError as error:
            raise RequestError(404, "not_found", str(error)) from error
        size = (await self._checkpoint()).checkpoint.size
        kinds = export.PUBLIC_KINDS | (PRIVATE_KINDS if is_auditor else frozenset())

        def read(conn: sqlite3.Connection) -> bytes | None:
            store = SqliteStore(conn)
            if path.level != "disclosed":
                return export.tile(store, path, size)
            return export.disclosed(
                store,
                path,
                size,
                kinds=kinds,
                document=lambda leaf: self._receipts.document(conn, leaf),
            )

        found = await asyncio.to_thread(self._receipts.read, read)
        if found is None:
            raise RequestError(404, "not_found", "the log is not that long yet")
        return found


def load_key(path: Path) -> SigningKey:
    """Read the log's key; make it at the first start.

    Raises:
        StartupError: It cannot be used.
    """
    try:
        return SigningKey.load(path, name=None, algorithm=Algorithm.NOTE)
    except (NoteError, OSError) as error:
        raise StartupError(f"cannot use the log's key: {error}") from error


def chain_of(anchoring: KnowsChain) -> Mapping[str, object] | None:
    """Where heads are anchored, for whoever has a node."""
    chain = anchoring.bundle_chain
    if chain is None:
        return None
    return {**asdict(chain), "genesis_hash": "0x" + chain.genesis_hash.hex()}


def _witness(text: str) -> VerifierKey:
    try:
        key = VerifierKey.parse(text)
    except NoteError as error:
        raise StartupError(f"ledger.witnesses: {error}") from error
    if key.algorithm is not Algorithm.COSIGNATURE:
        raise StartupError(f"ledger.witnesses: {key.name} is not a witness's key")
    return key


def _heads(conn: sqlite3.Connection, size: int) -> dict[str, object]:
    store = SqliteStore(conn)
    heads, proofs = [], []
    for one in cosignatures.newest(conn):
        old, new = sorted((size, one.size))
        try:
            proof = log.consistency_proof(store, old, new)
        except ProofError:
            continue
        heads.append({"size": one.size, "root": one.root.hex()})
        if old != new:
            steps = [step.hex() for step in proof]
            proofs.append({"old_size": old, "new_size": new, "proof": steps})
    return {"format": HEADS_FORMAT, "heads": heads, "proofs": proofs}
