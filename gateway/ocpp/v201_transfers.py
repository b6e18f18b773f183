"""OCPP 2.0.1, L01 and N01: asking for firmware and logs."""

from gateway.domain.transfer import FirmwareWanted, LogWanted
from gateway.ocpp.adapter import Command
from gateway.ocpp.transfers import firmware_call, log_call


class V201Transfers:
    """Part of the adapter."""

    def encode_firmware(self, wanted: FirmwareWanted, request_id: int) -> Command:
        """UpdateFirmware."""
        return firmware_call("UpdateFirmware", wanted, request_id)

    def encode_log(self, wanted: LogWanted, request_id: int) -> tuple[Command, ...]:
        """GetLog."""
        return (log_call(wanted, request_id),)
