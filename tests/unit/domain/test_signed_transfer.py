"""Which vendors' messages bring signed data of a transaction."""

import json
from typing import Any

import pytest

from gateway.domain.signed_transfer import TransferredRecord, find_record
from tests.support.ocmf import Meter

RECORD = Meter().both("1.0", "2.0")
XML = (
    f'<values><value transactionId="12"><signedData>{RECORD}</signedData></value>'
    "</values>"
)


@pytest.mark.parametrize(
    "data",
    [
        json.dumps({"transactionId": 12, "signedMeterValue": RECORD}),
        json.dumps({"transactionId": "12", "ocmf": RECORD, "publicKey": "04"}),
        json.dumps({"transaction_id": 12, "signedData": XML}),
        XML,
    ],
)
def test_signed_data_that_names_its_transaction_is_found(data: str) -> None:
    assert find_record(data) == TransferredRecord(transaction_id="12", raw=data)


@pytest.mark.parametrize(
    "data",
    [
        None,
        7,
        {"transactionId": 12, "ocmf": RECORD},
        "",
        "text",
        RECORD,
        "{" * 5_000,
        "[]",
        json.dumps({"transactionId": 12}),
        json.dumps({"transactionId": 12, "value": "a price"}),
        json.dumps({"transactionId": -1, "ocmf": RECORD}),
        json.dumps({"transactionId": 1.5, "ocmf": RECORD}),
        json.dumps({"transactionId": 10**12, "ocmf": RECORD}),
        json.dumps({"ocmf": RECORD}),
        XML.replace("transactionId", "id"),
        XML.replace("signedData", "data"),
        "<value " * 18_000,
        "<value signedData" + " transactionId" * 9_000,
        "x" * 200_000,
    ],
)
def test_other_messages_are_left_alone(data: Any) -> None:
    assert find_record(data) is None


@pytest.mark.parametrize("transaction_id", ["12", "d3b0-7f", "a" * 36, "A*+=:|@._-"])
def test_a_transaction_of_2_0_1_may_be_named_by_any_identifier(
    transaction_id: str,
) -> None:
    data = json.dumps({"transactionId": transaction_id, "ocmf": RECORD})
    wanted = TransferredRecord(transaction_id=transaction_id, raw=data)
    assert find_record(data, numbers_only=False) == wanted
    xml = XML.replace('"12"', f'"{transaction_id}"')
    found = find_record(xml, numbers_only=False)
    assert found == TransferredRecord(transaction_id=transaction_id, raw=xml)


@pytest.mark.parametrize("transaction_id", ["", "a" * 37, "a b", "ä", "x\x00"])
def test_what_is_no_identifier_names_no_transaction(transaction_id: str) -> None:
    data = json.dumps({"transactionId": transaction_id, "ocmf": RECORD})
    assert find_record(data, numbers_only=False) is None
