"""The calls of the central system that an OCPP 2.0.1 station serves."""

from __future__ import annotations  # the station and its table know each other

from functools import partial
from typing import TYPE_CHECKING, Any

from sim_chargers.blocks import (
    availability,
    certificate_store,
    cost,
    customer,
    display,
    firmware,
    local_list,
    logs,
    monitoring,
    publishing,
    remote,
    reports,
    reservations,
    triggers,
    variables,
)
from sim_chargers.smart_charging_v201 import (
    clear_charging_profile,
    get_charging_profiles,
    get_composite_schedule,
    set_charging_profile,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.frames import Payload
    from sim_chargers.outcomes import Reply


def table(station: ChargerV201) -> dict[str, Callable[[Payload], Reply]]:
    """Bind all served calls to a station."""
    served: dict[str, Callable[[Any, Payload], Reply]] = {
        "CancelReservation": reservations.cancel,
        "CertificateSigned": certificate_store.certificate_signed_v201,
        "ChangeAvailability": availability.change_v201,
        "ClearCache": local_list.clear_cache,
        "ClearChargingProfile": clear_charging_profile,
        "ClearDisplayMessage": display.clear_display_message,
        "ClearVariableMonitoring": monitoring.clear_variable_monitoring,
        "CostUpdated": cost.cost_updated,
        "CustomerInformation": customer.customer_information,
        "DataTransfer": cost.data_transfer_v201,
        "DeleteCertificate": certificate_store.delete_certificate,
        "GetBaseReport": reports.get_base_report,
        "GetChargingProfiles": get_charging_profiles,
        "GetCompositeSchedule": get_composite_schedule,
        "GetDisplayMessages": display.get_display_messages,
        "GetInstalledCertificateIds": certificate_store.installed_ids_v201,
        "GetLocalListVersion": local_list.version_v201,
        "GetLog": logs.get_log_v201,
        "GetMonitoringReport": monitoring.get_monitoring_report,
        "GetReport": reports.get_report,
        "GetTransactionStatus": remote.get_transaction_status,
        "GetVariables": variables.get_variables,
        "InstallCertificate": certificate_store.install_certificate,
        "PublishFirmware": publishing.publish_firmware,
        "RequestStartTransaction": remote.start_v201,
        "RequestStopTransaction": remote.stop_v201,
        "ReserveNow": reservations.reserve_v201,
        "Reset": availability.reset_v201,
        "SendLocalList": local_list.send_v201,
        "SetChargingProfile": set_charging_profile,
        "SetDisplayMessage": display.set_display_message,
        "SetMonitoringBase": monitoring.set_monitoring_base,
        "SetMonitoringLevel": monitoring.set_monitoring_level,
        "SetNetworkProfile": variables.set_network_profile,
        "SetVariableMonitoring": monitoring.set_variable_monitoring,
        "SetVariables": variables.set_variables,
        "TriggerMessage": triggers.trigger_v201,
        "UnlockConnector": availability.unlock_v201,
        "UnpublishFirmware": publishing.unpublish_firmware,
        "UpdateFirmware": firmware.update_firmware_v201,
    }
    return {action: partial(serve, station) for action, serve in served.items()}
