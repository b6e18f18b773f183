"""Receipts, good and tampered with, to hold one verifier against another."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

from gateway.domain.ocmf import Curve
from ledger.cabinet_proof import FORMAT as CABINET_FORMAT
from ledger.errors import BundleError
from ledger.heads import KnownHeads, parse_heads, read_since
from ledger.meter_key import read_key
from ledger.published import parse_contracts
from ledger.receipt_parsing import MAX_BUNDLE_BYTES
from ledger.settle import SettlementWay
from ledger.sqlite_store import Transactor
from ledger.strict_json import parse
from ledger.verify import verify
from ledger.verify_cabinet import verify_cabinet
from ledger.worker import AnchorWorker, WorkerSettings
from tests.property.ledger.test_receipt_tampering import flipped, leaves, replaced
from tests.support.ledger_site import Site, make_site, open_database
from tests.support.ocmf import Meter
from tests.support.signed_receipt import Forge

Verdicts = str | list[list[object]]
"""``refused``, or name, verdict and whether it is claimed, of each check."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is verified.

    Attributes:
        text: Of the receipt.
        key: As printed on the meter; empty: none is given.
        heads: Files of heads.
        since: A head that was kept.
        contracts: The file of contracts.
    """

    text: str
    key: str = ""
    heads: tuple[str, ...] = ()
    since: str = ""
    contracts: str = ""

    def verdicts(self, rpc_url: str | None = None) -> Verdicts:
        """What the verifier of the command line says."""
        key = read_key(self.key) if self.key else None
        data = self.text.encode("utf-8", "surrogatepass")
        try:
            heads, contracts = self._known_heads(), None
            if self.contracts:
                contracts = parse_contracts(self.contracts.encode())
            if CABINET_FORMAT in self.text:
                found = parse(data, "a file", MAX_BUNDLE_BYTES)
                report = verify_cabinet(found, heads)
            else:
                report = verify(
                    data,
                    rpc_url=rpc_url,
                    meter_key=key,
                    heads=heads,
                    contracts=contracts,
                )
        except BundleError:
            return "refused"
        return [[one.name, one.verdict.value, one.is_claimed] for one in report.checks]

    def _known_heads(self) -> KnownHeads | None:
        found = [parse_heads(one.encode()) for one in self.heads]
        found += [read_since(self.since)] if self.since else []
        return reduce(KnownHeads.also, found) if found else None


def credited_site(folder: Path, way: SettlementWay) -> Site:
    """Settled sessions, one of which with money back, on an embedded chain."""
    site = make_site(folder, way=way)
    site.add_noise(21)
    for session_id in ("s-0", "s-1"):
        site.add_session(session_id)
    site.worker.step(site.clock.at)
    site.add_credit("s-1", 3)
    site.add_noise(2)
    site.worker.step(site.clock.advance(1_000), flush=True)
    return site


def repeated_site(folder: Path, way: SettlementWay) -> Site:
    """The same after an old backup was put back: its credits were sent again."""
    site = make_site(folder, way=way)
    site.add_session("s-1")
    site.worker.step(site.clock.at, flush=True)
    site.add_credit("s-1", 3)
    site.add_credit("s-1", 3)
    return _gone_on_from_a_backup(folder, site, way)


def settled_twice_site(folder: Path, way: SettlementWay) -> Site:
    """A session that was settled, and after an old backup was put back once more."""
    site = make_site(folder, way=way)
    site.add_session("s-0")
    site.worker.step(site.clock.at, flush=True)
    site.add_session("s-1")
    return _gone_on_from_a_backup(folder, site, way)


def _gone_on_from_a_backup(folder: Path, site: Site, way: SettlementWay) -> Site:
    backup = open_database(folder / "backup.db")
    site.conn.backup(backup)
    site.worker.step(site.clock.advance(1_000), flush=True)
    site.conn.close()
    worker = AnchorWorker(
        chain=site.chain,
        transact=Transactor(backup),
        signers=site.signers,
        settings=WorkerSettings(way=way),
    )
    restored = replace(site, conn=backup, worker=worker)
    for _ in range(2):
        worker.step(site.clock.advance(1_000), flush=True)
    return restored


def credited_receipt(way: SettlementWay) -> dict[str, Any]:
    """The receipt of the session with money back."""
    with tempfile.TemporaryDirectory() as folder:
        site = credited_site(Path(folder), way)
        found = site.receipt("s-1")
        site.conn.close()
        site.chain.close()  # type: ignore[attr-defined]  # embedded
    return found


def field_cases(receipt: dict[str, Any]) -> Iterator[Case]:
    """The receipt, and once for each of its fields with that field changed."""
    yield Case(json.dumps(receipt))
    for at, value in leaves(receipt):
        if at[0] != "leaves" or at[1] in {0, 3, len(receipt["leaves"]) - 1}:
            yield Case(json.dumps(replaced(receipt, at, flipped(value, 0))))


def leaf_cases(receipt: dict[str, Any]) -> Iterator[Case]:
    """Leaves dropped, doubled and swapped."""
    items = receipt["leaves"]
    for index in range(len(items)):
        for forged in (
            items[:index] + items[index + 1 :],
            [*items[:index], items[index], *items[index:]],
            [*items[1 : index + 1], items[0], *items[index + 1 :]],
        ):
            yield Case(json.dumps({**receipt, "leaves": forged}))


def text_cases(receipt: dict[str, Any]) -> Iterator[Case]:
    """Texts that readers of JSON take for the same, or for something else."""
    text = json.dumps(receipt)
    yield from (
        Case(text[:-1] + ',"format":"wattproof-receipt/1"}'),
        Case(text.replace('"evse_id": 1', '"evse_id": 1, "evse_id": 1', 1)),
        Case(text.replace('"evse_id": 1', '"evse_id": 1.0', 1)),
        Case(text.replace('"evse_id": 1', '"evse_id": 1e0', 1)),
        Case(text.replace('"evse_id": 1', '"evse_id": -0', 1)),
        Case(text.replace('"evse_id": 1', '"evse_id": 01', 1)),
        Case(text.replace('"evse_id": 1', '"evse_id": true', 1)),
        Case(text.replace('"evse_id": 1', f'"evse_id": {2**53}', 1)),
        Case(text.replace('"evse_id": 1', f'"evse_id": {2**53 + 1}', 1)),
        Case(text.replace('"evse_id": 1', '"evse_id": NaN', 1)),
        Case(text.replace('"s-1"', '"\\u0073-1"')),
        Case(text.replace('"s-1"', '"\\ud800"')),
        Case(text.replace('\\"k\\"', '\\"k\\" ')),
        Case(text.replace('"bill": {', '"bill": {"__proto__": null, ')),
        Case(text.replace('"bill": {', '"bill": {"\\ud800": 1, ')),
        Case("\ufeff" + text),
        Case(" \n" + text + "\t"),
        Case(text + "x"),
        Case("[" * 40 + "]" * 40),
        *(Case(one) for one in ("", "null", "{}", '{"format": []}', '"\n"')),
    )


def signed_cases() -> Iterator[Case]:
    """Receipts of meters that sign, on every curve; right and wrong keys."""
    other = Meter(Curve.SECP256K1, secret=77).public_key
    for curve in Curve:
        meter = Meter(curve)
        text = json.dumps(Forge(meter).receipt())
        yield Case(text)
        yield Case(text, meter.public_key)
        yield Case(text, other)
        bent = meter.both("1.0004", "3.0008").replace("3.0008", "3.0009")
        yield Case(json.dumps(Forge(meter, [bent]).receipt()))
    meter = Meter()
    pieces = ("-----BEGIN PUBLIC KEY-----\n", "\n-----END PUBLIC KEY-----")
    text = json.dumps(Forge(meter).receipt())
    yield Case(text, meter.public_key.join(pieces))
    yield Case(text, "04 " + meter.point.hex())
    one, two = meter.begin("1.0004"), meter.end("3.0008")
    for records in ([one], [two, one], [one, one], [one, two, two], ["OCMF|{}|{}"], []):
        yield Case(json.dumps(Forge(meter, records).receipt()))
    yield Case(json.dumps(Forge(registers=(1_000_400, 3_000_801)).receipt()))
    yield Case(json.dumps(Forge(pinned_late=True).receipt()))
    for pin in (
        {"evse_id": 2},
        {"meter_serial": "X"},
        {"curve": None, "public_key": None},
        {"curve": "secp256k1"},
        {"public_key": "00"},
    ):
        yield Case(json.dumps(Forge(pin=dict(pin)).receipt()))
