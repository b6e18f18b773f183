"""The verifier of a cabinet's history: timestep by timestep, and none left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger import merkle, record
from ledger.errors import BundleError, RecordError
from ledger.heads import KnownHeads, check_consistency
from ledger.receipt import BundleHead, LeafProof
from ledger.receipt_parsing import MAX_LEAVES, leaf_proof
from ledger.record import Record
from ledger.strict_json import HASH, as_list, count, hexed, members, text
from ledger.verdicts import Check, Verdict, VerificationReport

SUB_TREES: Final = "sub-trees"
_LEAF: Final = ("index", "salt", "record", "inclusion")
_MEMBER: Final = ("index", "kind", "commitment", "salt", "record")


@dataclass(frozen=True, slots=True, kw_only=True)
class CabinetHistory:
    """What a file of a cabinet's history proves.

    Attributes:
        steps: How many timesteps.
        members: How many leaves of the cabinet.
        erased: How many of them show no record any more.
        goes_on_from: Leaf of the timestep before the first one shown; ``None``: this is
            the beginning.
    """

    cabinet_id: str
    size: int
    root: bytes
    steps: int
    members: int
    erased: int
    goes_on_from: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A gathered leaf; salt and record are ``None`` where it was erased."""

    index: int
    kind: str
    commitment: bytes
    salt: bytes | None
    data: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    leaf: LeafProof
    members: Sequence[_Member]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file whose shape was checked, and nothing else."""

    cabinet_id: str
    head: BundleHead
    steps: Sequence[_Step]


def verify_cabinet(
    document: Mapping[str, object], heads: KnownHeads | None
) -> VerificationReport:
    """Verify a cabinet's history.

    Args:
        document: As it was read from the file, of this format.
        heads: Of other times, which the file's head must agree with.

    Raises:
        BundleError: It is no such file.
    """
    return _verify(_read(document), heads)[0]


def check_history(document: Mapping[str, object]) -> CabinetHistory:
    """Check a cabinet's history against the head that it names.

    Raises:
        BundleError: It is no such file, or something in it is false.
    """
    report, found = _verify(_read(document), None)
    for check in report.checks:
        if check.verdict is Verdict.FALSE:
            raise BundleError(check.reason)
    assert found is not None, "nothing is false"
    return found


def _verify(
    file: _File, heads: KnownHeads | None
) -> tuple[VerificationReport, CabinetHistory | None]:
    n_member = sum(len(step.members) for step in file.steps)
    shape = f"a cabinet's history, {len(file.steps)} timesteps, {n_member} leaves"
    checks = [Check.true("format", shape)]
    try:
        bodies = _canonical(file)
        told = "every record is in canonical form, and of the kind stated"
        checks.append(Check.true("canonical", told))
    except BundleError as error:
        bodies = None
        checks.append(Check.false("canonical", str(error)))
    checks += [
        _run("commitment", lambda: _committed(file)),
        _run("inclusion", lambda: _included(file)),
    ]
    found = None
    if bodies is None:
        checks.append(Check.not_judged(SUB_TREES, "a record does not hold"))
    else:
        try:
            found = _gathered(file, bodies)
            checks.append(_told(found))
        except BundleError as error:
            checks.append(Check.false(SUB_TREES, str(error)))
    checks.append(check_consistency(heads, file.head.size, file.head.root))
    return VerificationReport(checks=tuple(checks)), found


def _run(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check.true(name, check())
    except BundleError as error:
        return Check.false(name, str(error))


def _told(found: CabinetHistory) -> Check:
    if found.steps == 0:
        return Check.open(SUB_TREES, "the file shows no timestep")
    begin = (
        "from its beginning"
        if found.goes_on_from is None
        else f"after the timestep of leaf {found.goes_on_from}"
    )
    erased = f", {found.erased} of them erased" if found.erased else ""
    return Check.true(
        SUB_TREES,
        f"{found.steps} timesteps of {found.cabinet_id} {begin}, none left out, with"
        f" {found.members} leaves{erased}, in a log of {found.size}",
    )


def _read(document: Mapping[str, object]) -> _File:
    try:
        top = members(document, "file", ("format", "cabinet_id", "head", "steps"))
        head = members(top["head"], "head", ("size", "root"))
        return _File(
            cabinet_id=text(top, "cabinet_id"),
            head=BundleHead(
                size=count(head, "size"),
                root=hexed(head["root"], HASH, "root"),
                tx_hash=None,
                block=None,
            ),
            steps=[_step(one) for one in as_list(top["steps"], "steps", MAX_LEAVES)],
        )
    except BundleError as error:
        raise BundleError(f"not a cabinet's history: {error}") from None


def _step(value: object) -> _Step:
    step = members(value, "step", ("leaf", "members"))
    leaf = members(step["leaf"], "leaf", _LEAF)
    return _Step(
        leaf=leaf_proof({**leaf, "kind": "cabinet"}),
        members=[
            _member(one) for one in as_list(step["members"], "members", MAX_LEAVES)
        ],
    )


def _member(value: object) -> _Member:
    row = members(value, "member", _MEMBER)
    is_erased = row["salt"] is None or row["record"] is None
    return _Member(
        index=count(row, "index"),
        kind=text(row, "kind"),
        commitment=hexed(row["commitment"], HASH, "commitment"),
        salt=None if is_erased else hexed(row["salt"], HASH, "salt"),
        data=None
        if is_erased
        else text(row, "record").encode("utf-8", "surrogatepass"),
    )


def _canonical(file: _File) -> Sequence[Mapping[str, object]]:
    """Read every record that is shown; return the bodies of the timesteps."""
    bodies = []
    for step in file.steps:
        bodies.append(_parsed(step.leaf.index, "cabinet", step.leaf.record).body)
        for member in step.members:
            if member.data is not None:
                _parsed(member.index, member.kind, member.data)
    return bodies


def _parsed(index: int, kind: str, data: bytes) -> Record:
    try:
        found = record.parse(data)
    except RecordError as error:
        raise BundleError(f"leaf {index}: {error}") from None
    if found.kind != kind:
        raise BundleError(f"leaf {index} is of another kind: {found.kind}")
    return found


def _shown(file: _File) -> Iterator[tuple[_Member, bytes]]:
    """Yield each member that was not erased, with what its record commits to."""
    for step in file.steps:
        for member in step.members:
            if member.salt is not None and member.data is not None:
                yield member, record.commitment(member.salt, member.data)


def _committed(file: _File) -> str:
    number = 0
    for member, committed in _shown(file):
        if committed != member.commitment:
            raise BundleError(f"leaf {member.index} is not that of its record")
        number += 1
    return f"{number} commitments computed, as stated"


def _included(file: _File) -> str:
    for step in file.steps:
        if not step.leaf.is_under(file.head):
            raise BundleError(f"leaf {step.leaf.index} is not under this head")
    return f"{len(file.steps)} timesteps are in the log of {file.head.size}"


def _gathered(file: _File, bodies: Sequence[Mapping[str, object]]) -> CabinetHistory:
    """Check that timesteps follow each other, and gather what is shown."""
    before: object = None
    n_erased = 0
    for number, (step, body) in enumerate(zip(file.steps, bodies, strict=True)):
        if body["cabinet_id"] != file.cabinet_id:
            raise BundleError(f"step {number} is of another cabinet")
        if number > 0 and not _is_same(body.get("previous_leaf_index"), before):
            raise BundleError(f"a timestep is missing before step {number}")
        before = step.leaf.index
        made = merkle.root([merkle.leaf_hash(one.commitment) for one in step.members])
        indexes = [one.index for one in step.members]
        if (
            made.hex() != body["leaves_root"]
            or not _is_same(body.get("leaf_indexes"), indexes)
            or len(indexes) != body["leaves_count"]
        ):
            raise BundleError(f"step {number} gathers other leaves than those shown")
        n_erased += sum(one.data is None for one in step.members)
    first = bodies[0].get("previous_leaf_index") if bodies else None
    if first is not None and type(first) is not int:
        raise BundleError("the first timestep goes on from no leaf")
    return CabinetHistory(
        cabinet_id=file.cabinet_id,
        size=file.head.size,
        root=file.head.root,
        steps=len(file.steps),
        members=sum(len(step.members) for step in file.steps),
        erased=n_erased,
        goes_on_from=first,
    )


def _is_same(one: object, other: object) -> bool:
    """Compare as records do: what is true is not 1."""
    return record.canonical_json(one) == record.canonical_json(other)
