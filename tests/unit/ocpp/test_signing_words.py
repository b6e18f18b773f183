"""By which settings a station is told to sign, and which are left as they are."""

import pytest

from gateway.ocpp.signing_words import ToldSetting, keys_to_sign, variables_to_sign
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201

BOTH = "Transaction.Begin,Transaction.End"


def told(name: str, value: str | None, *, is_readonly: bool = False) -> ToldSetting:
    return ToldSetting(name=name, value=value, is_readonly=is_readonly)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("StopTransactionSignatureContexts", "", BOTH),
        ("StopTransactionSignatureContexts", None, BOTH),
        (
            "stoptransactionsignaturecontexts",
            "Sample.Clock, transaction.end",
            "Sample.Clock,transaction.end,Transaction.Begin",
        ),
        ("MeterValuesSignatureContexts", "", BOTH),
        ("SampledDataSignReadings", "false", "true"),
        ("AlignedDataSignReadings", "False", "true"),
        ("PublicKeyWithSignedMeterValue", "Never", "OncePerTransaction"),
        ("PublicKeyWithSignedMeterValue", "false", "true"),
    ],
)
def test_begin_and_end_are_asked_for(name: str, value: str | None, wanted: str) -> None:
    assert keys_to_sign([told(name, value)]) == {name: wanted}
    assert keys_to_sign([told(name, wanted)]) == {}
    assert keys_to_sign([told(name, value, is_readonly=True)]) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("StopTransactionSignatureFormat", "SR"),
        ("SampledDataSignUpdatedReadings", "false"),
        ("SampledDataSignReadings", "TRUE"),
        ("PublicKeyWithSignedMeterValue", "EveryMeterValue"),
        ("MeterPublicKey1", "3059"),
        ("StopTxnSampledData", ""),
    ],
)
def test_what_does_not_matter_is_left_alone(name: str, value: str) -> None:
    assert keys_to_sign([told(name, value)]) == {}


def test_edges_in_the_stop_are_not_asked_for_twice() -> None:
    settings = [
        told("MeterValuesSignatureContexts", ""),
        told("StopTransactionSignatureContexts", BOTH),
    ]
    assert keys_to_sign(settings) == {}
    settings[1] = told("StopTransactionSignatureContexts", "", is_readonly=True)
    assert keys_to_sign(settings) == {"MeterValuesSignatureContexts": BOTH}


def test_variables_are_written_where_they_say_otherwise() -> None:
    settings = [
        told("SampledDataCtrlr.SignReadings", "false"),
        told("SampledDataCtrlr.SignUpdatedReadings", "false"),
        told("AlignedDataCtrlr.SignReadings", "true"),
        told("OCPPCommCtrlr.PublicKeyWithSignedMeterValue", "Never"),
        told("OCPPCommCtrlr.HeartbeatInterval", "300"),
    ]
    assert variables_to_sign(settings) == {
        "SampledDataCtrlr.SignReadings": "true",
        "OCPPCommCtrlr.PublicKeyWithSignedMeterValue": "OncePerTransaction",
    }
    assert variables_to_sign(settings[4:]) == {}


def test_a_station_of_2_0_1_that_has_told_nothing_is_asked_all_the_same() -> None:
    assert variables_to_sign([]) == {"SampledDataCtrlr.SignReadings": "true"}
    assert keys_to_sign([]) == {}


def test_both_versions_write_what_their_schemas_allow() -> None:
    (key,) = V16().encode_signing([told("SampledDataSignReadings", "false")])
    assert key.payload == {"key": "SampledDataSignReadings", "value": "true"}
    (variable,) = V201().encode_signing([])
    assert variable.payload == {
        "setVariableData": [
            {
                "attributeValue": "true",
                "component": {"name": "SampledDataCtrlr"},
                "variable": {"name": "SignReadings"},
            }
        ]
    }
