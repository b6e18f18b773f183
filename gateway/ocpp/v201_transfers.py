"""OCPP 2.0.1, L01 and N01: asking for firmware and logs."""

from gateway.domain.transfer import FirmwareWanted, LogWanted
from gateway.ocpp.adapter import Command
from gateway.ocpp.outbound import compact, optional_time
from gateway.ocpp.readings import wire_time


class V201Transfers:
    """Part of the adapter."""

    def encode_firmware(self, wanted: FirmwareWanted, request_id: int) -> Command:
        """UpdateFirmware."""
        firmware = compact(
            location=wanted.location,
            retrieveDateTime=wire_time(wanted.retrieve_at),
            installDateTime=optional_time(wanted.install_at),
            signingCertificate=wanted.signing_certificate,
            signature=wanted.signature,
        )
        payload = compact(
            retries=wanted.retries,
            retryInterval=wanted.retry_interval_s,
            requestId=request_id,
            firmware=firmware,
        )
        return Command(action="UpdateFirmware", payload=payload)

    def encode_log(self, wanted: LogWanted, request_id: int) -> tuple[Command, ...]:
        """GetLog."""
        log = compact(
            remoteLocation=wanted.location,
            oldestTimestamp=optional_time(wanted.oldest_at),
            latestTimestamp=optional_time(wanted.latest_at),
        )
        payload = compact(
            log=log,
            logType="SecurityLog" if wanted.is_security else "DiagnosticsLog",
            requestId=request_id,
            retries=wanted.retries,
            retryInterval=wanted.retry_interval_s,
        )
        return (Command(action="GetLog", payload=payload),)
