"""A witness: follows a log from its public export and says when it is not one log.

It trusts nothing but its own memory. Every leaf since its last look is hashed anew, on
top of the subtrees it kept, so that a head which does not go on from the one it knows
cannot pass. What it may see of records is checked as a stranger would. Only a head
without any objection is cosigned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeAlias

from ledger import merkle
from ledger.checkpoint import TILE_WIDTH, Checkpoint, TilePath, width_at
from ledger.disclosed import Alarm, Disclosed, Objection
from ledger.disclosed_piece import read_piece
from ledger.errors import NoteError, SourceError
from ledger.export import CHECKPOINT, KEY
from ledger.log_source import Source, Tiles
from ledger.note import Algorithm, Note, SigningKey, VerifierKey, parse_note, signed
from ledger.waiting import Waiting, judge
from ledger.witness_state import MAX_FAULTS, StateFile, WitnessState

COSIGNATURE: Final = "cosignature"
SAVE_EVERY: Final = 64
"""Pieces of disclosed records between two times that the state is saved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look found.

    Attributes:
        checkpoint: The log's own words; ``None``: none that can be read.
        objections: What is wrong, also what was wrong before with records.
        checked: How many records of each kind were checked to the end.
        withheld: How many of each kind were shown without their document.
        erased: How many of each kind the log says were erased; nobody can check that.
        waiting: How many wait for the log to show their document's head.
        cosigned: The note with the cosignature; ``None``: not cosigned.
    """

    checkpoint: Checkpoint | None
    objections: tuple[Objection, ...]
    checked: Mapping[str, int]
    cosigned: str | None = None
    withheld: Mapping[str, int] = field(default_factory=dict)
    erased: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0


Finding: TypeAlias = Objection | Waiting
CheckRecord: TypeAlias = Callable[[Disclosed, Checkpoint, Tiles], Sequence[Finding]]
"""Looks at a disclosed record that stands in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLook:
    """What a chain says of a log.

    Attributes:
        anchor: Address of the contract that was asked.
        objections: What is wrong.
        ahead: Size of the chain's head where the log does not show so much, else 0.
    """

    anchor: str
    objections: Sequence[Objection] = ()
    ahead: int = 0


class CheckChain(Protocol):
    """Compares a checkpoint with the chain."""

    def __call__(self, checkpoint: Checkpoint, tiles: Tiles, anchor: str) -> ChainLook:
        """Compare them.

        Args:
            checkpoint: What the log says.
            tiles: The log.
            anchor: The address of the last time; empty: none yet.

        Raises:
            SourceError: The log cannot be asked now.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSettings:
    """How a witness judges.

    Attributes:
        log_key: The log's key, from elsewhere; ``None``: as first seen.
        stale_s: A log whose checkpoint does not change for so long is stale, seconds.
    """

    log_key: VerifierKey | None = None
    stale_s: float = 3600.0


class Witness:
    """Looks at one log, again and again.

    Args:
        source: The export.
        file: Where it remembers.
        settings: How it judges.
        check_record: Looks at each disclosed record.
        check_chain: Compares with the chain; ``None``: there is none to ask.
        key: What it cosigns with; ``None``: it does not.
    """

    def __init__(
        self,
        *,
        source: Source,
        file: StateFile,
        settings: WitnessSettings,
        check_record: CheckRecord,
        check_chain: CheckChain | None = None,
        key: SigningKey | None = None,
    ) -> None:
        self._source = source
        self._file = file
        self._settings = settings
        self._check_record = check_record
        self._check_chain = check_chain
        self._key = key

    def look(self, now: datetime) -> Look:
        """Look once; what it learned is on disk when this returns.

        Args:
            now: The witness's own time; aware UTC.

        Raises:
            NoteError: Its own state cannot be used.
            OSError: Its own state cannot be read or written.
        """
        state = self._file.load()
        found: list[Objection] = []
        counts = _Counts()
        try:
            note, log_key = self._checkpoint(state)
            checkpoint = Checkpoint.parse(note.text)
        except SourceError as error:
            return _only(Alarm.UNREACHABLE, str(error))
        except NoteError as error:
            return _only(Alarm.NONSENSE, str(error))
        except _UnsignedError as error:
            return _only(Alarm.UNSIGNED, str(error))
        if checkpoint.origin != log_key.name:
            return _only(Alarm.NONSENSE, f"the log calls itself {checkpoint.origin}")
        state = self._note_time(replace(state, log_key=log_key.text), note, now, found)
        tiles = Tiles(self._source, checkpoint.size)
        try:
            followed = self._follow(state, checkpoint, note, tiles, found)
            if followed is not None:
                state = followed
                self._file.save(state)
                state = self._judge_waiting(state, checkpoint, tiles, now, counts)
                self._file.save(state)
                state = self._look_at_records(state, checkpoint, tiles, now, counts)
                if self._check_chain is not None:
                    chain = self._check_chain(checkpoint, tiles, state.anchor)
                    found += chain.objections
                    state = self._note_ahead(state, chain, checkpoint, now, found)
        except SourceError as error:
            found.append(Objection(alarm=Alarm.UNREACHABLE, text=str(error)))
        found += [Objection.parse(line) for line in state.faults]
        cosigned = None
        if not found and self._key is not None:
            cosigned = self._cosign(note, self._key, now, found)
        self._file.save(state)
        return Look(
            checkpoint=checkpoint,
            objections=tuple(found),
            checked=counts.checked,
            cosigned=cosigned,
            withheld=counts.withheld,
            erased=counts.erased,
            waiting=len(state.waiting),
        )

    def _checkpoint(self, state: WitnessState) -> tuple[Note, VerifierKey]:
        """Get the checkpoint, signed by the key that is known or given."""
        given = self._settings.log_key
        if given is not None:
            key = given
        elif state.log_key:
            key = VerifierKey.parse(state.log_key)
        else:
            key = VerifierKey.parse(self._source.get(KEY).decode(errors="replace"))
        if key.algorithm is not Algorithm.NOTE:
            raise NoteError("the key is not that of a log")
        if state.log_key and state.log_key != key.text:
            raise _UnsignedError(
                f"the log given is {key.name}, the state is of"
                f" {VerifierKey.parse(state.log_key).name}"
            )
        note = parse_note(self._source.get(CHECKPOINT))
        if not note.is_signed_by(key):
            raise _UnsignedError(f"the checkpoint is not signed by {key.name}")
        return note, key

    def _note_time(
        self,
        state: WitnessState,
        note: Note,
        now: datetime,
        found: list[Objection],
    ) -> WitnessState:
        """Remember since when the log says what it says."""
        if state.text != note.text or state.text_since is None:
            return replace(state, text=note.text, text_since=now)
        if now - state.text_since > timedelta(seconds=self._settings.stale_s):
            since = state.text_since.isoformat(timespec="seconds")
            text = f"the checkpoint is the same since {since}"
            found.append(Objection(alarm=Alarm.STALE, text=text))
        return state

    def _note_ahead(
        self,
        state: WitnessState,
        chain: ChainLook,
        checkpoint: Checkpoint,
        now: datetime,
        found: list[Objection],
    ) -> WitnessState:
        """Give the log time to show what is anchored, and no more than that."""
        state = replace(state, anchor=chain.anchor)
        if state.ahead <= checkpoint.size:
            state = replace(state, ahead=0, ahead_since=None)
        if chain.ahead and state.ahead_since is None:
            return replace(state, ahead=chain.ahead, ahead_since=now)
        since = state.ahead_since
        if since and now - since > timedelta(seconds=self._settings.stale_s):
            text = (
                f"the chain has a head of {state.ahead} leaves since"
                f" {since.isoformat(timespec='seconds')}, the log shows"
                f" {checkpoint.size}"
            )
            found.append(Objection(alarm=Alarm.BEHIND_CHAIN, text=text))
        return state

    def _follow(
        self,
        state: WitnessState,
        checkpoint: Checkpoint,
        note: Note,
        tiles: Tiles,
        found: list[Objection],
    ) -> WitnessState | None:
        """Hash what is new on top of what is known; ``None``: it does not go on."""
        known = state.seen
        if checkpoint.size < known.size:
            path = self._evidence("shrunk", state, note)
            text = f"{known.size} leaves were there, now {checkpoint.size}; see {path}"
            found.append(Objection(alarm=Alarm.SHRUNK, text=text))
            return None
        seen = _extend(known, checkpoint.size, tiles)
        if seen.root() == checkpoint.root:
            return replace(state, seen=seen, note=str(note))
        path = self._evidence(f"fork-{checkpoint.size}", state, note)
        text = (
            f"the head of {checkpoint.size} leaves, {checkpoint.root.hex()}, does not"
            f" go on from that of {known.size}, {known.root().hex()}; see {path}"
        )
        found.append(Objection(alarm=Alarm.FORK, text=text))
        return None

    def _evidence(self, name: str, state: WitnessState, note: Note) -> str:
        return self._file.keep_evidence(name, f"{state.note}\n{note}").name

    def _judge_waiting(
        self,
        state: WitnessState,
        checkpoint: Checkpoint,
        tiles: Tiles,
        now: datetime,
        counts: _Counts,
    ) -> WitnessState:
        """Hold the heads of documents that waited against the log as it is now."""
        judged = judge(state.waiting, checkpoint, tiles, now, self._settings.stale_s)
        for one in judged.held:
            _count(counts.checked, one.kind)
        faults = _kept([*state.faults, *judged.faults])
        return replace(state, waiting=judged.waiting, faults=faults)

    def _look_at_records(
        self,
        state: WitnessState,
        checkpoint: Checkpoint,
        tiles: Tiles,
        now: datetime,
        counts: _Counts,
    ) -> WitnessState:
        """Check what is disclosed of the leaves that were not looked at yet."""
        first, last = state.checked // TILE_WIDTH, checkpoint.size // TILE_WIDTH
        for number, index in enumerate(range(first, last + 1)):
            width = width_at(0, index, checkpoint.size)
            if width == 0:
                break
            path = TilePath(level="disclosed", index=index, width=width)
            piece = read_piece(self._source, path)
            faults = [*state.faults, *map(str, piece.faults)]
            waiting = list(state.waiting)
            for one in piece.shown:
                if one.index < state.checked:
                    continue
                found = self._check(one, checkpoint, tiles)
                later = [item for item in found if isinstance(item, Waiting)]
                wrong = [item for item in found if isinstance(item, Objection)]
                waiting += [replace(item, since=now) for item in later]
                faults += [str(item) for item in wrong]
                if any(item.alarm is Alarm.WITHHELD for item in wrong):
                    _count(counts.withheld, one.kind)
                elif not later:
                    _count(counts.checked, one.kind)
            for at, kind in piece.erased:
                if at >= state.checked:
                    _count(counts.erased, kind)
            state = replace(
                state,
                checked=path.end_leaf,
                faults=_kept(faults),
                waiting=tuple(waiting),
            )
            if number % SAVE_EVERY == 0:
                self._file.save(state)
        return state

    def _check(
        self, one: Disclosed, checkpoint: Checkpoint, tiles: Tiles
    ) -> Sequence[Finding]:
        if not tiles.proves_leaf(one.index, one.commitment, checkpoint.root):
            text = f"leaf {one.index} is not in the log as it is shown"
            return (Objection(alarm=Alarm.BAD_RECORD, text=text),)
        return self._check_record(one, checkpoint, tiles)

    def _cosign(
        self, note: Note, key: SigningKey, now: datetime, found: list[Objection]
    ) -> str:
        line = key.cosign(note.text, int(now.timestamp()))
        cosigned = signed(note.text, (*note.signatures, line))
        try:
            self._source.give(COSIGNATURE, cosigned.encode())
        except SourceError as error:
            found.append(Objection(alarm=Alarm.UNREACHABLE, text=str(error)))
        return cosigned


@dataclass(frozen=True, slots=True)
class _Counts:
    """Records of each kind that one look came by."""

    checked: dict[str, int] = field(default_factory=dict)
    withheld: dict[str, int] = field(default_factory=dict)
    erased: dict[str, int] = field(default_factory=dict)


def _count(counts: dict[str, int], kind: str) -> None:
    counts[kind] = counts.get(kind, 0) + 1


def _kept(faults: Sequence[str]) -> tuple[str, ...]:
    """Keep so many; what is withheld goes first where there are too many."""
    fresh = dict.fromkeys(faults)
    withheld = f"{Alarm.WITHHELD.value}: "
    return tuple(sorted(fresh, key=lambda line: line.startswith(withheld)))[:MAX_FAULTS]


class _UnsignedError(Exception):
    """The checkpoint is not that of the log we follow."""


def _extend(known: merkle.CompactRange, size: int, tiles: Tiles) -> merkle.CompactRange:
    """Append the leaves up to a size to the subtrees that are known."""
    hashes, at = list(known.hashes), known.size
    while at < size:
        bundle = tiles.commitments(at // TILE_WIDTH)[at % TILE_WIDTH :]
        for commitment in bundle:
            carry, rest = merkle.leaf_hash(commitment), at
            while rest & 1:
                carry = merkle.node_hash(hashes.pop(), carry)
                rest >>= 1
            hashes.append(carry)
            at += 1
    return merkle.CompactRange(size=at, hashes=tuple(hashes))


def _only(alarm: Alarm, text: str) -> Look:
    objection = Objection(alarm=alarm, text=text)
    return Look(checkpoint=None, objections=(objection,), checked={})
