"""Signed readings of OCPP 2.0.1: ``signedMeterValue`` and its variables (J01, J02)."""

from __future__ import annotations  # the station and its parts know each other

from typing import TYPE_CHECKING, Any, Final

from sim_chargers.carriers import members
from sim_chargers.device_model import READ_ONLY, Variable
from sim_chargers.samples_v201 import meter_value
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
    from sim_chargers.charger import Charger
    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.connector import Connector, Sample, Transaction

TELL_KEY: Final = "PublicKeyWithSignedMeterValue"
TELL_CHOICES: Final = ("Never", "OncePerTransaction", "EveryMeterValue")


def meter_variables(station: Charger) -> list[Variable]:
    """Variables of a station whose meters sign."""
    spec = spec_of(station)
    if spec is None:
        return []
    made = [
        Variable(
            component=component,
            name=name,
            value="true" if spec.is_on and name == "SignReadings" else "false",
            kind="boolean",
        )
        for component in ("SampledDataCtrlr", "AlignedDataCtrlr")
        for name in ("SignReadings", "SignUpdatedReadings")
    ]
    made.append(
        Variable(
            component="OCPPCommCtrlr",
            name=TELL_KEY,
            value="OncePerTransaction",
            kind="OptionList",
            choices=TELL_CHOICES,
        )
    )
    for number, connector in station.connectors.items():
        meter = connector.meter
        if meter is None:
            continue
        for name, instance, value in (
            ("PublicKey", None, meter.told_key),
            ("SerialNumber", "Meter", meter.serial),
        ):
            made.append(
                Variable(
                    component="FiscalMetering",
                    name=name,
                    instance=instance,
                    value=value,
                    mutability=READ_ONLY,
                    evse_id=number,
                )
            )
    return made


def signed_value(
    station: ChargerV201,
    connector: Connector,
    transaction: Transaction,
    sample: Sample,
) -> dict[str, Any]:
    """The meter value of a sample, its register signed where that is wanted."""
    value = meter_value(sample)
    meter, spec = connector.meter, spec_of(station)
    if meter is None or spec is None or not _is_wanted(station, sample.context):
        return value
    if spec.format == "MR" and sample.context == AT_BEGIN:
        return value
    record = sign(station, connector, transaction, sample, form=spec.format)
    if record is None or spec.carrier == "transfer":
        return value
    key = told_key(meter, transaction, station.model.text("OCPPCommCtrlr", TELL_KEY))
    carrier = "base64" if spec.carrier == "json" else spec.carrier
    value["sampledValue"][0]["signedMeterValue"] = {
        **members(record, key),
        "signedMeterData": text_of(station, record, key, carrier),
    }
    return value


def transfer(
    station: ChargerV201, connector: Connector, transaction: Transaction
) -> None:
    """Send the records of an ended transaction in messages of the vendor's own."""
    spec, meter = spec_of(station), connector.meter
    if spec is None or meter is None or spec.carrier != "transfer":
        return
    when = station.model.text("OCPPCommCtrlr", TELL_KEY)
    for record in transaction.signed.values():
        payload = {
            "vendorId": VENDOR,
            "messageId": "SignedMeterValue",
            "data": transfer_data(
                transaction, record, told_key(meter, transaction, when)
            ),
        }

        def build(payload: dict[str, Any] = payload) -> dict[str, Any]:
            return payload

        station.enqueue("DataTransfer", build, durable=True)


def _is_wanted(station: ChargerV201, context: str) -> bool:
    """Whether readings of a context are signed."""
    if context in {AT_BEGIN, AT_END}:
        return station.model.is_true("SampledDataCtrlr", "SignReadings")
    kind = {"Sample.Periodic": "SampledDataCtrlr", "Sample.Clock": "AlignedDataCtrlr"}
    component = kind.get(context)
    return component is not None and station.model.is_true(
        component, "SignUpdatedReadings"
    )
