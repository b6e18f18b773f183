"""What a car plugs into, in the words of OCPI 2.2.1 (8.4.5, 8.4.4, 8.4.19)."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class ConnectorStandard(StrEnum):
    """The standard of a connector."""

    CHADEMO = "CHADEMO"
    CHAOJI = "CHAOJI"
    DOMESTIC_A = "DOMESTIC_A"
    DOMESTIC_B = "DOMESTIC_B"
    DOMESTIC_C = "DOMESTIC_C"
    DOMESTIC_D = "DOMESTIC_D"
    DOMESTIC_E = "DOMESTIC_E"
    DOMESTIC_F = "DOMESTIC_F"
    DOMESTIC_G = "DOMESTIC_G"
    DOMESTIC_H = "DOMESTIC_H"
    DOMESTIC_I = "DOMESTIC_I"
    DOMESTIC_J = "DOMESTIC_J"
    DOMESTIC_K = "DOMESTIC_K"
    DOMESTIC_L = "DOMESTIC_L"
    DOMESTIC_M = "DOMESTIC_M"
    DOMESTIC_N = "DOMESTIC_N"
    DOMESTIC_O = "DOMESTIC_O"
    GBT_AC = "GBT_AC"
    GBT_DC = "GBT_DC"
    IEC_60309_2_SINGLE_16 = "IEC_60309_2_single_16"
    IEC_60309_2_THREE_16 = "IEC_60309_2_three_16"
    IEC_60309_2_THREE_32 = "IEC_60309_2_three_32"
    IEC_60309_2_THREE_64 = "IEC_60309_2_three_64"
    IEC_62196_T1 = "IEC_62196_T1"
    IEC_62196_T1_COMBO = "IEC_62196_T1_COMBO"
    IEC_62196_T2 = "IEC_62196_T2"
    IEC_62196_T2_COMBO = "IEC_62196_T2_COMBO"
    IEC_62196_T3A = "IEC_62196_T3A"
    IEC_62196_T3C = "IEC_62196_T3C"
    NEMA_5_20 = "NEMA_5_20"
    NEMA_6_30 = "NEMA_6_30"
    NEMA_6_50 = "NEMA_6_50"
    NEMA_10_30 = "NEMA_10_30"
    NEMA_10_50 = "NEMA_10_50"
    NEMA_14_30 = "NEMA_14_30"
    NEMA_14_50 = "NEMA_14_50"
    PANTOGRAPH_BOTTOM_UP = "PANTOGRAPH_BOTTOM_UP"
    PANTOGRAPH_TOP_DOWN = "PANTOGRAPH_TOP_DOWN"
    TESLA_R = "TESLA_R"
    TESLA_S = "TESLA_S"


class ConnectorFormat(StrEnum):
    """Whether the driver brings the cable."""

    SOCKET = "SOCKET"
    CABLE = "CABLE"


class PowerType(StrEnum):
    """What comes out of it."""

    AC_1_PHASE = "AC_1_PHASE"
    AC_2_PHASE = "AC_2_PHASE"
    AC_3_PHASE = "AC_3_PHASE"
    DC = "DC"


SOCKET: Final = ConnectorFormat.SOCKET
CABLE: Final = ConnectorFormat.CABLE
_REPORTED: Final[Mapping[str, tuple[ConnectorStandard, ConnectorFormat]]] = (
    MappingProxyType(
        {
            "cCCS1": (ConnectorStandard.IEC_62196_T1_COMBO, CABLE),
            "cCCS2": (ConnectorStandard.IEC_62196_T2_COMBO, CABLE),
            "cG105": (ConnectorStandard.CHADEMO, CABLE),
            "cTesla": (ConnectorStandard.TESLA_S, CABLE),
            "cType1": (ConnectorStandard.IEC_62196_T1, CABLE),
            "cType2": (ConnectorStandard.IEC_62196_T2, CABLE),
            "s309-1P-16A": (ConnectorStandard.IEC_60309_2_SINGLE_16, SOCKET),
            "s309-3P-16A": (ConnectorStandard.IEC_60309_2_THREE_16, SOCKET),
            "s309-3P-32A": (ConnectorStandard.IEC_60309_2_THREE_32, SOCKET),
            "sBS1361": (ConnectorStandard.DOMESTIC_G, SOCKET),
            "sCEE-7-7": (ConnectorStandard.DOMESTIC_F, SOCKET),
            "sType2": (ConnectorStandard.IEC_62196_T2, SOCKET),
            "sType3": (ConnectorStandard.IEC_62196_T3C, SOCKET),
        }
    )
)
"""Of the connector types of 2.0.1 (appendices, ConnectorType) those that OCPI has."""


def reported(word: str) -> tuple[ConnectorStandard, ConnectorFormat] | None:
    """What a 2.0.1 station's ``ConnectorType`` is called; ``None``: nothing is."""
    return _REPORTED.get(word)
