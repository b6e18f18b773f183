"""Signed readings of OCPP 1.6: samples of format ``SignedData``, and their keys.

Keys are those of the OCMF's recommendation and of the OCA's paper on signed values.
"""

from __future__ import annotations  # the station and its parts know each other

import json
from typing import TYPE_CHECKING, Any, Final

from sim_chargers.clock import to_wire
from sim_chargers.signed_samples import (
    AT_BEGIN,
    AT_END,
    VENDOR,
    sign,
    spec_of,
    text_of,
    told_key,
    transfer_data,
)

if TYPE_CHECKING:
    from sim_chargers.charger_v16 import ChargerV16
    from sim_chargers.connector import Connector, Sample, Transaction

FORMAT: Final = "StopTransactionSignatureFormat"
IN_STOP: Final = "StopTransactionSignatureContexts"
IN_VALUES: Final = "MeterValuesSignatureContexts"
TELL_KEY: Final = "PublicKeyWithSignedMeterValue"


def meter_keys(station: ChargerV16) -> dict[str, tuple[str, bool]]:
    """Configuration keys of a station whose meters sign: value, read-only."""
    spec = spec_of(station)
    if spec is None:
        return {}
    return {
        FORMAT: (spec.format, False),
        IN_STOP: (f"{AT_BEGIN},{AT_END}" if spec.is_on else "", False),
        IN_VALUES: ("", False),
        TELL_KEY: ("OncePerTransaction", False),
        **{
            f"MeterPublicKey{number}": (connector.meter.told_key, True)
            for number, connector in station.connectors.items()
            if connector.meter is not None
        },
    }


def begun(station: ChargerV16, connector: Connector, transaction: Transaction) -> None:
    """Sign the begin; send it at once where it is wanted in MeterValues."""
    if connector.meter is None:
        return
    in_stop = AT_BEGIN in _contexts(station, IN_STOP) and _form(station) == "SR"
    if in_stop or AT_BEGIN in _contexts(station, IN_VALUES):
        sample = transaction.samples[0]
        sign(station, connector, transaction, sample, form=_form(station))
        if AT_BEGIN in _contexts(station, IN_VALUES):
            sampled(station, connector, transaction, sample)


def sampled(
    station: ChargerV16,
    connector: Connector,
    transaction: Transaction,
    sample: Sample,
) -> None:
    """Send the record of a sample where its context is one that is signed."""
    spec = spec_of(station)
    if spec is None or sample.context not in _contexts(station, IN_VALUES):
        return
    record = sign(station, connector, transaction, sample, form=_form(station))
    if record is None or spec.carrier == "transfer":
        return
    value = _value(station, connector, transaction, record, sample)

    def build() -> dict[str, Any]:
        return {
            "connectorId": connector.number,
            "transactionId": int(transaction.wire_id or -1),
            "meterValue": [value],
        }

    station.enqueue("MeterValues", build, durable=True, transaction=transaction)


def ended(
    station: ChargerV16, connector: Connector, transaction: Transaction, end: Sample
) -> list[dict[str, Any]]:
    """Signed values of a StopTransaction."""
    spec = spec_of(station)
    wanted = _contexts(station, IN_STOP)
    if spec is None or not wanted:
        return []
    if AT_END in wanted:
        sign(station, connector, transaction, end, form=_form(station))
    if spec.carrier == "transfer":
        return []
    return [
        _value(station, connector, transaction, transaction.signed[one.context], one)
        for one in (transaction.samples[0], end)
        if one.context in wanted and one.context in transaction.signed
    ]


def transfer(
    station: ChargerV16, connector: Connector, transaction: Transaction
) -> None:
    """Send the records of an ended transaction in messages of the vendor's own."""
    spec, meter = spec_of(station), connector.meter
    if spec is None or meter is None or spec.carrier != "transfer":
        return
    for record in transaction.signed.values():
        key = told_key(meter, transaction, station.keys[TELL_KEY])

        def build(record: str = record, key: str | None = key) -> dict[str, Any]:
            data = transfer_data(transaction, record, key)
            return {
                "vendorId": VENDOR,
                "messageId": "SignedMeterValue",
                "data": json.dumps(data),
            }

        station.enqueue("DataTransfer", build, durable=True)


def _value(
    station: ChargerV16,
    connector: Connector,
    transaction: Transaction,
    record: str,
    sample: Sample,
) -> dict[str, Any]:
    meter = connector.meter
    assert meter is not None, "it has signed"
    key = told_key(meter, transaction, station.keys[TELL_KEY])
    sampled_value = {
        "value": text_of(station, record, key, meter.spec.carrier),
        "format": "SignedData",
        "context": sample.context,
    }
    return {"timestamp": to_wire(sample.at), "sampledValue": [sampled_value]}


def _contexts(station: ChargerV16, key: str) -> set[str]:
    return {word.strip() for word in station.keys.get(key, "").split(",")} - {""}


def _form(station: ChargerV16) -> str:
    return station.keys.get(FORMAT, "SR")
