"""Which samples a station signs, and how its records go out (both versions)."""

from __future__ import annotations  # the station and its parts know each other

from typing import TYPE_CHECKING, Any, Final

from sim_chargers.carriers import ABSURD, hostile_xml, members, wrap
from sim_chargers.meter_spec import MeterSpec, meter_of
from sim_chargers.signing_meter import (
    BEGIN,
    CHARGING,
    END,
    MeterReading,
    SigningMeter,
)

if TYPE_CHECKING:
    from sim_chargers.charger import Charger
    from sim_chargers.connector import Connector, Sample, Transaction
    from sim_chargers.scenario import StationSpec

AT_BEGIN: Final = "Transaction.Begin"
AT_END: Final = "Transaction.End"
VENDOR: Final = "sim.signed"
"""Of the messages with records of their own (carrier ``transfer``)."""
_KINDS: Final = {AT_BEGIN: BEGIN, AT_END: END}


def signing_meter(
    spec: StationSpec, evse_id: int, faults: frozenset[str]
) -> SigningMeter | None:
    """The meter of an EVSE, where it signs."""
    meter = meter_of(spec.meter, faults)
    if meter is None:
        return None
    return SigningMeter(station_id=spec.id, evse_id=evse_id, spec=meter, faults=faults)


def spec_of(station: Charger) -> MeterSpec | None:
    """How the meters of a station sign; they are all alike."""
    return meter_of(station.spec.meter, station.faults.names)


def sign(
    station: Charger,
    connector: Connector,
    transaction: Transaction,
    sample: Sample,
    *,
    form: str,
) -> str | None:
    """The record of a sample, made once; ``None``: there is none.

    Args:
        station: Whose exactness of registers counts.
        connector: With the meter.
        transaction: Keeps the record.
        sample: Its context says what the reading is.
        form: ``MR``: the begin is read again into the record of the end.
    """
    meter = connector.meter
    if meter is None:
        return None
    known = transaction.signed.get(sample.context)
    if known is not None and sample.context in _KINDS:
        return known
    lacks_begin = "no-signed-begin" in station.faults
    if lacks_begin and sample.context == AT_BEGIN:
        return None
    samples = [sample]
    if form == "MR" and sample.context == AT_END and not lacks_begin:
        samples = [transaction.samples[0], sample]
    readings = [
        MeterReading(
            kind=_KINDS.get(one.context, CHARGING),
            at=one.at,
            register_milliwh=station.wire_milliwh(one.register_milliwh),
        )
        for one in samples
    ]
    record = meter.record(readings, transaction.token)
    transaction.signed[sample.context] = record
    return record


def told_key(meter: SigningMeter, transaction: Transaction, when: str) -> str | None:
    """The key that goes along with a record.

    Args:
        meter: Whose key it is.
        transaction: Knows whether it was told.
        when: ``Never``, ``OncePerTransaction`` or ``EveryMeterValue``.
    """
    if when == "Never" or (when == "OncePerTransaction" and transaction.key_told):
        return None
    transaction.key_told = True
    return meter.told_key


def text_of(station: Charger, record: str, key: str | None, carrier: str) -> str:
    """A record as it goes out."""
    if "hostile-xml" in station.faults:
        return hostile_xml(record)
    if "absurd-records" in station.faults:
        return ABSURD
    return wrap(record, key, carrier)


def transfer_data(
    transaction: Transaction, record: str, key: str | None
) -> dict[str, Any]:
    """A record in a message of the vendor's own."""
    number = str(transaction.wire_id)
    return {
        "transactionId": int(number) if number.isdigit() else number,
        **members(record, key),
    }
