"""OCPP 1.6, 5.4, 6.24 and security whitepaper: asking for firmware and logs."""

from gateway.domain.transfer import FirmwareWanted, LogWanted
from gateway.ocpp.adapter import Command
from gateway.ocpp.outbound import compact, optional_time
from gateway.ocpp.readings import wire_time
from gateway.ocpp.transfers import firmware_call, log_call


class V16Transfers:
    """Part of the adapter."""

    def encode_firmware(self, wanted: FirmwareWanted, request_id: int) -> Command:
        """UpdateFirmware; SignedUpdateFirmware for signed firmware.

        The older message knows no time of installation.
        """
        if wanted.signature is not None:
            return firmware_call("SignedUpdateFirmware", wanted, request_id)
        payload = compact(
            location=wanted.location,
            retries=wanted.retries,
            retrieveDate=wire_time(wanted.retrieve_at),
            retryInterval=wanted.retry_interval_s,
        )
        return Command(action="UpdateFirmware", payload=payload)

    def encode_log(self, wanted: LogWanted, request_id: int) -> tuple[Command, ...]:
        """GetLog; for stations without it GetDiagnostics, which has no security log."""
        first = log_call(wanted, request_id)
        if wanted.is_security:
            return (first,)
        older = compact(
            location=wanted.location,
            retries=wanted.retries,
            retryInterval=wanted.retry_interval_s,
            startTime=optional_time(wanted.oldest_at),
            stopTime=optional_time(wanted.latest_at),
        )
        return (first, Command(action="GetDiagnostics", payload=older))
