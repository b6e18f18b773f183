"""The configuration keys of an OCPP 1.6 station (OCPP 1.6, chapter 9)."""

from typing import Final

MEASURANDS: Final = (
    "Energy.Active.Import.Register,Power.Active.Import,Current.Import,"
    "Current.Offered,Power.Offered,SoC"
)
PROFILES: Final = (
    "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,"
    "RemoteTrigger"
)

REBOOT_KEYS: Final = frozenset({"ConnectorPhaseRotation"})
"""What counts after the next restart only (5.3, RebootRequired)."""

DEFAULT_KEYS: Final[dict[str, tuple[str, bool]]] = {  # key: (value, read-only)
    "AdditionalRootCertificateCheck": ("false", True),
    "AllowOfflineTxForUnknownId": ("false", False),
    "AuthorizationCacheEnabled": ("true", False),
    "AuthorizeRemoteTxRequests": ("false", False),
    "CertificateSignedMaxChainSize": ("10000", True),
    "CertificateStoreMaxLength": ("50", True),
    "ChargeProfileMaxStackLevel": ("10", True),
    "ChargingScheduleAllowedChargingRateUnit": ("Current,Power", True),
    "ChargingScheduleMaxPeriods": ("200", True),
    "ClockAlignedDataInterval": ("0", False),
    "ConnectionTimeOut": ("120", False),
    "ConnectorPhaseRotation": ("NotApplicable", False),
    "CpoName": ("Wattproof Sim", False),
    "CustomDisplayCostAndPrice": ("false", False),
    "DefaultPrice": ("", False),
    "GetConfigurationMaxKeys": ("100", True),
    "HeartbeatInterval": ("300", False),
    "LocalAuthListEnabled": ("true", False),
    "LocalAuthListMaxLength": ("1000", True),
    "LocalAuthorizeOffline": ("true", False),
    "LocalPreAuthorize": ("false", False),
    "MaxChargingProfilesInstalled": ("50", True),
    "MeterValueSampleInterval": ("60", False),
    "MeterValuesSampledData": (
        MEASURANDS,
        False,
    ),
    "MeterValuesAlignedData": ("Energy.Active.Import.Register", False),
    "NumberOfConnectors": ("1", True),
    "ResetRetries": ("1", False),
    "SecurityProfile": ("1", False),
    "SendLocalListMaxLength": ("500", True),
    "ReserveConnectorZeroSupported": ("true", True),
    "StopTransactionOnEVSideDisconnect": ("true", False),
    "StopTransactionOnInvalidId": ("true", False),
    "StopTxnAlignedData": ("", False),
    "StopTxnSampledData": ("Energy.Active.Import.Register", False),
    "SupportedFeatureProfiles": (
        PROFILES,
        True,
    ),
    "TransactionMessageAttempts": ("3", False),
    "TransactionMessageRetryInterval": ("60", False),
    "UnlockConnectorOnEVSideDisconnect": ("true", False),
    "WebSocketPingInterval": ("20", False),
}
