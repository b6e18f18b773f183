"""What a witness remembers between two looks: durable, and never half written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ledger import merkle
from ledger.errors import NoteError
from ledger.waiting import Waiting

FORMAT: Final = "wattproof-witness/1"
MAX_FAULTS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessState:
    """What a witness knows of one log.

    Attributes:
        log_key: Text of the log's key, as first seen or given; empty: none yet.
        seen: The complete subtrees over all leaves that it has hashed itself.
        note: The last checkpoint that it found good, as it came.
        text: The text of the last checkpoint that came, good or not.
        text_since: When that text came first.
        checked: Leaves before this one were looked at for what is disclosed.
        anchor: Address of the contract that it compares with; empty: none yet.
        ahead: A head that the chain had before the log showed it; 0: none.
        ahead_since: When the chain was found ahead.
        faults: What was wrong with records, and is not forgotten by looking again.
        waiting: Leaves whose document has a head that the log has not shown yet.
    """

    log_key: str = ""
    seen: merkle.CompactRange = merkle.CompactRange()  # noqa: RUF009 - it is frozen
    note: str = ""
    text: str = ""
    text_since: datetime | None = None
    checked: int = 0
    anchor: str = ""
    ahead: int = 0
    ahead_since: datetime | None = None
    faults: tuple[str, ...] = ()
    waiting: tuple[Waiting, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the state as JSON."""
        return {
            "format": FORMAT,
            "log_key": self.log_key,
            "size": self.seen.size,
            "root": self.seen.root().hex(),
            "subtrees": [one.hex() for one in self.seen.hashes],
            "note": self.note,
            "text": self.text,
            "text_since": None
            if self.text_since is None
            else self.text_since.isoformat(),
            "checked": self.checked,
            "anchor": self.anchor,
            "ahead": self.ahead,
            "ahead_since": None
            if self.ahead_since is None
            else self.ahead_since.isoformat(),
            "faults": list(self.faults),
            "waiting": [one.to_json() for one in self.waiting],
        }

    @staticmethod
    def of_json(found: Mapping[str, Any]) -> WitnessState:
        """Read `to_json` back.

        Raises:
            NoteError: It is something else, or contradicts itself.
        """
        try:
            if found["format"] != FORMAT:
                raise NoteError(f"not of the format {FORMAT}")
            since, ahead_since = found["text_since"], found["ahead_since"]
            hashes = tuple(bytes.fromhex(one) for one in found["subtrees"])
            state = WitnessState(
                log_key=str(found["log_key"]),
                seen=merkle.CompactRange(size=int(found["size"]), hashes=hashes),
                note=str(found["note"]),
                text=str(found["text"]),
                text_since=None if since is None else datetime.fromisoformat(since),
                checked=int(found["checked"]),
                anchor=str(found["anchor"]),
                ahead=int(found["ahead"]),
                ahead_since=None
                if ahead_since is None
                else datetime.fromisoformat(ahead_since),
                faults=tuple(str(one) for one in found["faults"]),
                waiting=tuple(map(Waiting.of_json, found.get("waiting", ()))),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NoteError(f"not a witness's state: {error}") from error
        n_subtree = state.seen.size.bit_count() if state.seen.size >= 0 else -1
        is_whole = len(hashes) == n_subtree and all(
            len(one) == merkle.HASH_BYTES for one in hashes
        )
        if not is_whole or state.seen.root().hex() != found["root"]:
            raise NoteError("the state's head does not follow from its subtrees")
        return state


class StateFile:
    """Keeps a witness's state in one file.

    Args:
        path: The file; made with the first state.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> WitnessState:
        """Return what is kept, or a fresh state where there is no file.

        Raises:
            NoteError: The file holds something else.
            OSError: It cannot be read.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return WitnessState()
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise NoteError(f"{self.path}: not a witness's state") from error
        if not isinstance(found, dict):
            raise NoteError(f"{self.path}: not a witness's state")
        return WitnessState.of_json(found)

    def save(self, state: WitnessState) -> None:
        """Replace what is kept; it is on disk when this returns.

        Raises:
            OSError: It cannot be written.
        """
        self._put(self.path, json.dumps(state.to_json(), indent=1) + "\n")

    def keep_evidence(self, name: str, notes: str) -> Path:
        """Keep signed notes that contradict each other, beside the state.

        Returns:
            Where.

        Raises:
            OSError: It cannot be written.
        """
        path = self.path.with_name(f"{self.path.name}.{name}.txt")
        self._put(path, notes)
        return path

    @staticmethod
    def _put(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
