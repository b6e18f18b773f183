"""The calls of the central system that an OCPP 1.6 station serves."""

from __future__ import annotations  # the station and its table know each other

from functools import partial
from typing import TYPE_CHECKING, Any

from sim_chargers.blocks import (
    availability,
    certificate_store,
    configuration,
    cost,
    firmware,
    local_list,
    logs,
    remote,
    reservations,
    triggers,
)
from sim_chargers.smart_charging_v16 import (
    clear_charging_profile,
    get_composite_schedule,
    set_charging_profile,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim_chargers.charger_v16 import ChargerV16
    from sim_chargers.frames import Payload
    from sim_chargers.outcomes import Reply


def table(station: ChargerV16) -> dict[str, Callable[[Payload], Reply]]:
    """Bind all served calls to a station."""
    served: dict[str, Callable[[Any, Payload], Reply]] = {
        "CancelReservation": reservations.cancel,
        "CertificateSigned": certificate_store.certificate_signed_v16,
        "ChangeAvailability": availability.change_v16,
        "ChangeConfiguration": configuration.change_configuration,
        "ClearCache": local_list.clear_cache,
        "ClearChargingProfile": clear_charging_profile,
        "DataTransfer": cost.data_transfer_v16,
        "DeleteCertificate": certificate_store.delete_certificate,
        "ExtendedTriggerMessage": triggers.extended_trigger_v16,
        "GetCompositeSchedule": get_composite_schedule,
        "GetConfiguration": configuration.get_configuration,
        "GetDiagnostics": logs.get_diagnostics,
        "GetInstalledCertificateIds": certificate_store.installed_ids_v16,
        "GetLocalListVersion": local_list.version_v16,
        "GetLog": logs.get_log_v16,
        "InstallCertificate": certificate_store.install_certificate,
        "RemoteStartTransaction": remote.start_v16,
        "RemoteStopTransaction": remote.stop_v16,
        "ReserveNow": reservations.reserve_v16,
        "Reset": availability.reset_v16,
        "SendLocalList": local_list.send_v16,
        "SetChargingProfile": set_charging_profile,
        "SignedUpdateFirmware": firmware.signed_update_firmware_v16,
        "TriggerMessage": triggers.trigger_v16,
        "UnlockConnector": availability.unlock_v16,
        "UpdateFirmware": firmware.update_firmware_v16,
    }
    return {action: partial(serve, station) for action, serve in served.items()}
