"""What a witness can say of the records that a log discloses to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeAlias

from typing_extensions import override

from ledger import record
from ledger.checkpoint import Checkpoint
from ledger.errors import BundleError, RecordError
from ledger.log_source import Tiles
from ledger.public_leaves import STATUS_RECORD_BYTES
from ledger.verdicts import Verdict, VerificationReport
from ledger.verify import verify
from ledger.verify_plan import PlanTrust, verify_plan
from ledger.waiting import Waiting

MAX_TEXT: Final = 300


class Alarm(Enum):
    """What can be wrong; one word each."""

    UNREACHABLE = "unreachable"
    UNSIGNED = "unsigned"
    NONSENSE = "nonsense"
    SHRUNK = "shrunk"
    FORK = "fork"
    STALE = "stale"
    CHAIN_FORK = "chain-fork"
    BEHIND_CHAIN = "behind-chain"
    CHAIN_UNAVAILABLE = "chain-unavailable"
    BAD_RECORD = "bad-record"
    BAD_STATUS = "bad-status"
    BAD_PLAN = "bad-plan"
    BAD_SETTLEMENT = "bad-settlement"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """One thing that is wrong.

    Attributes:
        alarm: What kind.
        text: For a person.
    """

    alarm: Alarm
    text: str

    @override
    def __str__(self) -> str:
        """Both in one line; `parse` reads it back."""
        return f"{self.alarm.value}: {self.text}"

    @staticmethod
    def parse(line: str) -> Objection:
        """Read a line back; one of another version is a bad record."""
        name, _, text = line.partition(": ")
        known = {one.value: one for one in Alarm}
        return Objection(
            alarm=known.get(name, Alarm.BAD_RECORD),
            text=text if name in known else line,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosed:
    """A record that the log shows.

    Attributes:
        commitment: What follows from it; must stand in the log at ``index``.
        document: What came with it, such as a plan or a receipt.
    """

    index: int
    kind: str
    text: str
    body: Mapping[str, object]
    commitment: bytes
    document: object


CheckPlan: TypeAlias = Callable[[Mapping[str, object]], str | None]
"""Checks a plan's bundle; returns what is false, ``None`` when nothing is."""


def certified(document: Mapping[str, object]) -> str | None:
    """Check a plan's certificate and its record; offline."""
    try:
        return _false(verify_plan(document, PlanTrust()))
    except BundleError as error:
        return str(error)


def read_leaf(found: Any) -> Disclosed:  # noqa: ANN401 - whatever the export holds
    """Read one leaf of a piece of disclosed records.

    Raises:
        BundleError: It is not one.
    """
    try:
        index, text, salt = found["index"], found["record"], found["salt"]
        data = text.encode()
        parsed = record.parse(data)
        made = record.commitment(bytes.fromhex(salt), data)
        document = found["document"]
    except (
        RecordError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise BundleError(f"a disclosed leaf that is none: {error}") from error
    if type(index) is not int or index < 0 or parsed.kind != found.get("kind"):
        raise BundleError("a disclosed leaf of another kind or at no place")
    return Disclosed(
        index=index,
        kind=parsed.kind,
        text=text,
        body=parsed.body,
        commitment=made,
        document=document,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChecks:
    """Checks status, plans and settlements; one of the latter needs its document.

    Attributes:
        check_plan: Checks a plan's bundle.
        rpc_url: Node that settlements are looked up at; ``None``: offline.
        chain_path: File of an embedded chain instead.
    """

    check_plan: CheckPlan = certified
    rpc_url: str | None = None
    chain_path: Path | None = None

    def __call__(
        self, one: Disclosed, checkpoint: Checkpoint, tiles: Tiles
    ) -> Sequence[Objection | Waiting]:
        """Return what is wrong with a record that stands in the log, or must wait.

        Raises:
            SourceError: The log cannot be asked now.
        """
        match one.kind:
            case "status":
                alarm, why = Alarm.BAD_STATUS, _status(one)
            case "plan" | "settlement" if one.document is None:
                alarm, why = Alarm.WITHHELD, f"the document of a {one.kind} is missing"
            case "plan":
                alarm, why = Alarm.BAD_PLAN, self._plan(one, checkpoint, tiles)
            case "settlement":
                alarm = Alarm.BAD_SETTLEMENT
                why = self._settlement(one, checkpoint, tiles)
            case _:
                return ()
        if why is None:
            return _waiting(one, alarm, checkpoint)
        return (Objection(alarm=alarm, text=f"leaf {one.index}: {why}"[:MAX_TEXT]),)

    def _plan(self, one: Disclosed, checkpoint: Checkpoint, tiles: Tiles) -> str | None:
        document = one.document
        if not isinstance(document, Mapping):
            return "its document is no plan"
        shown = document.get("leaf")
        if not isinstance(shown, Mapping) or (
            shown.get("index"),
            shown.get("record"),
        ) != (
            one.index,
            one.text,
        ):
            return "its document is of another leaf"
        wrong = _head(document, checkpoint, tiles)
        return self.check_plan(document) if wrong is None else wrong

    def _settlement(
        self, one: Disclosed, checkpoint: Checkpoint, tiles: Tiles
    ) -> str | None:
        document = one.document
        leaves = document.get("leaves") if isinstance(document, Mapping) else None
        if not isinstance(document, Mapping) or not isinstance(leaves, list):
            return "its document is no receipt"
        shown = [
            (leaf.get("index"), leaf.get("record"))
            for leaf in leaves
            if isinstance(leaf, Mapping) and leaf.get("kind") == "settlement"
        ]
        if shown != [(one.index, one.text)]:
            return "its receipt is of another settlement"
        wrong = _head(document, checkpoint, tiles)
        if wrong is not None:
            return wrong
        try:
            report = verify(
                json.dumps(document, ensure_ascii=False).encode(),
                rpc_url=self.rpc_url,
                chain_path=self.chain_path,
            )
        except BundleError as error:
            return str(error)
        return _false(report)


def _false(report: VerificationReport) -> str | None:
    false = [
        f"{check.name}: {check.reason}"
        for check in report.checks
        if check.verdict is Verdict.FALSE
    ]
    return "; ".join(false) or None


def _status(one: Disclosed) -> str | None:
    try:
        packed = bytes.fromhex(str(one.body["packed"]))
    except (KeyError, ValueError):
        return "it shows no packed status"
    if hashlib.sha256(packed).hexdigest() != one.body.get("status_sha256"):
        return "its hash is not that of its packed status"
    if len(packed) != STATUS_RECORD_BYTES * _count(one.body.get("status_count")):
        return "it does not have as many records as it says"
    return None


def _count(value: object) -> int:
    return value if type(value) is int else -1


def _head(
    document: Mapping[str, Any], checkpoint: Checkpoint, tiles: Tiles
) -> str | None:
    """Hold a document's head against the log; see `_waiting` for a newer one."""
    head = document.get("head")
    try:
        size, root = head["size"], bytes.fromhex(head["root"])  # type: ignore[index]  # a TypeError says so
    except (KeyError, TypeError, ValueError):
        return "its document has no head"
    if type(size) is not int or size <= 0:
        return "its document has no head"
    if size <= checkpoint.size and not tiles.proves_prefix(size, root, checkpoint.root):
        return f"its document has a head of {size} leaves that this log never had"
    return None


def _waiting(
    one: Disclosed, alarm: Alarm, checkpoint: Checkpoint
) -> tuple[Waiting, ...]:
    """Keep a head that the log has not shown yet, once the rest was found good."""
    head = one.document.get("head") if isinstance(one.document, Mapping) else None
    if one.kind not in {"plan", "settlement"} or not isinstance(head, Mapping):
        return ()
    if head["size"] <= checkpoint.size:
        return ()
    return (
        Waiting(
            alarm=alarm.value,
            index=one.index,
            kind=one.kind,
            size=head["size"],
            root=bytes.fromhex(head["root"]),
        ),
    )
