"""Whoever forges signed data, even before it is sealed, is told by the verifier."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.ocmf import Curve
from ledger.__main__ import main
from ledger.meter_key import read_key
from ledger.signed_claim import SignedClaim
from ledger.verify import Check, Verdict, verify
from tests.support.ocmf import Meter, reading
from tests.support.signed_receipt import Forge

SIGNED = ("signed-data", "meter-signature", "signed-registers", "meter-key")


def checks(receipt: object, key: str | None = None) -> dict[str, Check]:
    meter_key = None if key is None else read_key(key)
    report = verify(json.dumps(receipt).encode(), meter_key=meter_key)
    return {check.name: check for check in report.checks}


def told(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    receipt: dict[str, Any],
    *more: str,
) -> tuple[int, dict[str, str]]:
    """Exit code and lines of the command, by the name of the check."""
    path = folder / "receipt.json"
    path.write_text(json.dumps(receipt), encoding="utf-8")
    code = main(["verify", str(path), *more])
    lines = capsys.readouterr().out.splitlines()
    return code, {line.split()[0]: line for line in lines}


@pytest.mark.parametrize("curve", Curve)
def test_an_honest_receipt_holds_down_to_the_sticker_on_every_curve(
    curve: Curve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meter = Meter(curve)
    receipt = Forge(meter).receipt()
    code, lines = told(tmp_path, capsys, receipt, "--meter-key", meter.public_key)
    assert code == 0
    for name in SIGNED:
        assert lines[name].split()[1] == "true", lines[name]
    assert "unchecked" in told(tmp_path, capsys, receipt)[1]["meter-key"]


def forged_digit(meter: Meter) -> Forge:
    begin, end = meter.begin("1.0004"), meter.end("3.0008")
    changed = end.replace("3.0008", "3.0009")
    return Forge(meter, [begin, changed], registers=(1_000_400, 3_000_900))


def forged_signature(meter: Meter) -> Forge:
    begin, end = meter.begin("1.0004"), meter.end("3.0008")
    last = end[-3]
    return Forge(meter, [begin, f"{end[:-3]}{'1' if last == '0' else '0'}{end[-2:]}"])


def swapped(meter: Meter) -> Forge:
    """Begin and end change places: pages signed by the meter, in another order."""
    end, begin = meter.end("3.0008"), meter.begin("1.0004")
    return Forge(meter, [begin, end])


FORGED = [
    (forged_digit, "meter-signature", "record T8 was not signed by the key"),
    (forged_signature, "meter-signature", "record T8 was not signed by the key"),
    (swapped, "signed-registers", "begin and end do not stand first and last"),
    (
        lambda meter: Forge(meter, [meter.begin("1.0004")]),
        "signed-registers",
        "no record has the end",
    ),
    (
        lambda meter: Forge(
            meter, [meter.begin("1.0004"), meter.end("3.0008", PG="T9")]
        ),
        "signed-registers",
        "page T9 follows page T7",
    ),
    (
        lambda meter: Forge(meter, pin={"evse_id": 2}),
        "signed-data",
        "leaf 1 is the key of another meter",
    ),
    (
        lambda meter: Forge(meter, pin={"station_id": "CP-2"}),
        "signed-data",
        "leaf 1 is the key of another meter",
    ),
    (
        lambda meter: Forge(meter, pin={"meter_serial": "OTHER"}),
        "meter-signature",
        "signed by meter 1ABC0012345678, the key was pinned to OTHER",
    ),
    (
        lambda meter: Forge(
            meter, pin={"public_key": replace(meter, secret=7).point.hex().upper()}
        ),
        "meter-signature",
        "record T7 was not signed by the key",
    ),
    (
        lambda meter: Forge(meter, pin={"curve": None, "public_key": None}),
        "signed-data",
        "leaf 1 withdraws a key",
    ),
    (
        lambda meter: Forge(meter, pinned_late=True),
        "signed-data",
        "the key was pinned after the settlement",
    ),
    (
        lambda meter: Forge(meter, registers=(1_000_400, 3_000_801)),
        "signed-registers",
        "the bill's end register is 3000801 mWh, the meter signed 3000800 mWh",
    ),
    (
        lambda meter: Forge(meter, registers=(1_000_000, 3_000_800)),
        "signed-registers",
        "the bill's start register is 1000000 mWh, the meter signed 1000400 mWh",
    ),
    (
        lambda meter: Forge(
            meter,
            [meter.begin("1.0004"), meter.record([reading("E", "3.0008", EF="E")])],
        ),
        "signed-registers",
        "marks its reading",
    ),
    (
        lambda meter: Forge(
            meter,
            [meter.begin("1.0004"), meter.record([reading("E", "3.0008", ST="M")])],
        ),
        "signed-registers",
        "marks its reading",
    ),
    (
        lambda meter: Forge(
            meter, [meter.begin("1.0004"), replace(meter, serial="X").end("3.0008")]
        ),
        "meter-signature",
        "signed by meter X",
    ),
    (
        lambda meter: Forge(
            meter,
            [meter.begin("3.0008"), meter.end("1.0004")],
            registers=(1_000_400, 3_000_800),
        ),
        "signed-registers",
        "the register falls",
    ),
    (
        lambda meter: Forge(meter, ["OCMF|"] * 1_001),
        "signed-data",
        "more than 1000 signed records",
    ),
    (
        lambda meter: Forge(meter, [meter.begin("1.0", ID=":1.8." * 100_000 + "\n")]),
        "signed-registers",
        "no record has the end",
    ),
    (
        lambda meter: Forge(
            meter, [meter.record([reading("B", "1.0", RI=":1.8." * 100_000 + "\n")])]
        ),
        "meter-signature",
        "RI is no text, or too long",
    ),
    (lambda meter: Forge(meter, []), "signed-data", "0 signed records"),
    (lambda meter: Forge(meter, ["OCMF|{}"]), "meter-signature", "leaf 5"),
]


@pytest.mark.parametrize(("forge", "name", "reason"), FORGED)
def test_what_is_forged_before_it_is_sealed_is_false_and_says_why(
    forge: Any,
    name: str,
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, lines = told(tmp_path, capsys, forge(Meter()).receipt())
    assert code == 1
    assert lines["inclusion"].split()[1] == "true", "the log itself is consistent"
    assert lines[name].split()[1] == "false", lines[name]
    assert reason in lines[name]


def test_a_record_that_is_left_out_of_the_receipt_is_missed() -> None:
    receipt = Forge().receipt()
    receipt["leaves"] = [
        leaf for leaf in receipt["leaves"] if "3.0008" not in leaf["record"]
    ]
    found = checks(receipt)["signed-data"]
    assert (found.verdict, found.reason) == (
        Verdict.FALSE,
        "1 signed record, the settlement counts another number",
    )


def test_a_receipt_whose_key_was_swapped_after_it_was_sealed_is_false() -> None:
    receipt, other = Forge().receipt(), Forge(Meter(secret=5)).receipt()
    (place,) = [i for i, leaf in enumerate(receipt["leaves"]) if is_key(leaf)]
    (taken,) = [leaf for leaf in other["leaves"] if is_key(leaf)]
    receipt["leaves"][place] = taken
    found = checks(receipt)
    assert found["inclusion"].verdict is Verdict.FALSE
    assert found["meter-signature"].verdict is Verdict.FALSE


def is_key(leaf: dict[str, Any]) -> bool:
    return bool(leaf["kind"] == "meter_key")


def test_the_key_on_the_meter_counts_before_the_one_in_the_log() -> None:
    """The operator pins a key of his own and signs what he likes with it."""
    meter, own = Meter(), Meter(secret=99)
    receipt = Forge(own).receipt()
    assert checks(receipt)["meter-signature"].verdict is Verdict.TRUE
    found = checks(receipt, meter.public_key)
    assert found["meter-signature"].verdict is Verdict.FALSE
    assert found["meter-key"].verdict is Verdict.FALSE
    assert "pinned was" in found["meter-key"].reason


UNSIGNED = [
    (SignedClaim(verdict="unsigned"), "not signed by the meter: "),
    (
        SignedClaim(verdict="failed", reasons=("signature_wrong",)),
        "its signed data was failed (signature_wrong)",
    ),
    (
        SignedClaim(verdict="unverified", reasons=("meter_key_not_pinned",)),
        "its signed data was unverified (meter_key_not_pinned)",
    ),
]


@pytest.mark.parametrize(("claim", "reason"), UNSIGNED)
def test_a_session_that_no_meter_signed_says_so_and_fails_only_who_asks_for_it(
    claim: SignedClaim,
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    receipt = Forge(records=[], claim=claim).receipt()
    assert receipt["format"] == "wattproof-receipt/1"
    code, lines = told(tmp_path, capsys, receipt)
    assert code == 0
    assert "unchecked" in lines["meter-signature"]
    assert reason in lines["meter-signature"]
    key = Meter().public_key
    code, lines = told(tmp_path, capsys, receipt, "--meter-key", key)
    assert code == 1
    assert "no signature to hold against it" in lines["meter-key"]


def test_signed_data_that_the_settlement_does_not_count_is_false() -> None:
    receipt = Forge(records=[], claim=SignedClaim(verdict="unsigned")).receipt()
    signed = [leaf for leaf in Forge().receipt()["leaves"] if leaf["index"] in {1, 5}]
    pin, record = signed
    receipt["leaves"] = [pin, *receipt["leaves"][:-1], record, receipt["leaves"][-1]]
    receipt["leaves"][-1]["index"] = 6
    receipt["format"] = "wattproof-receipt/2"
    found = checks(receipt)["meter-signature"]
    assert found.verdict is Verdict.FALSE
    assert "does not count" in found.reason


def test_a_key_is_read_from_a_file_or_told_to_be_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meter = Meter()
    receipt = Forge(meter).receipt()
    text, der = tmp_path / "key.txt", tmp_path / "key.der"
    text.write_text(f"{meter.public_key}\n", encoding="utf-8")
    der.write_bytes(bytes.fromhex(meter.public_key))
    for path in (text, der):
        assert told(tmp_path, capsys, receipt, "--meter-key", str(path))[0] == 0
    path = tmp_path / "receipt.json"
    for wrong in ("nonsense!", "00" * 64, str(tmp_path / "absent"), "A" * 5000, ""):
        assert main(["verify", str(path), "--meter-key", wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
