"""Flows about firmware (L01 to L04; 1.6: 5.19 and the security whitepaper)."""

from typing import Final

from sim_chargers.flows.stage import V201, Flow, Stage
from sim_chargers.twists import Twist

ORDERS: Final = ("UpdateFirmware", "SignedUpdateFirmware")
REPORTS: Final = ("FirmwareStatusNotification", "SignedFirmwareStatusNotification")
PUBLISHING: Final = "PublishFirmwareStatusNotification"


async def _installs(stage: Stage) -> None:
    old = stage.station.firmware.version
    await stage.heard(*ORDERS)
    for status in ("Downloading", "Downloaded", "Installing"):
        await stage.sent(*REPORTS, status=status)
    await stage.sent("BootNotification", answered="Accepted")
    await stage.sent(*REPORTS, status="Installed")
    stage.check(stage.station.firmware.version != old, "the version is the old one")


async def _download_fails(stage: Stage) -> None:
    stage.twist(Twist.DOWNLOAD_FAILS)
    await stage.heard(*ORDERS)
    await stage.sent(*REPORTS, status="DownloadFailed")


async def _install_fails(stage: Stage) -> None:
    stage.twist(Twist.INSTALL_FAILS)
    await stage.heard(*ORDERS)
    await stage.sent(*REPORTS, status="InstallationFailed")


async def _bad_signature(stage: Stage) -> None:
    stage.twist(Twist.BAD_SIGNATURE)
    await stage.heard(*ORDERS, answered="Accepted")
    await stage.sent(*REPORTS, status="InvalidSignature")
    await stage.sent("SecurityEventNotification", type="InvalidFirmwareSignature")


async def _bad_certificate(stage: Stage) -> None:
    stage.twist(Twist.INVALID_CERTIFICATE)
    await stage.heard(*ORDERS, answered="InvalidCertificate")
    await stage.sent(
        "SecurityEventNotification", type="InvalidFirmwareSigningCertificate"
    )


async def _revoked(stage: Stage) -> None:
    stage.twist(Twist.REVOKED_CERTIFICATE)
    await stage.heard(*ORDERS, answered="RevokedCertificate")


async def _while_charging(stage: Stage) -> None:
    await stage.charge()
    await stage.heard(*ORDERS)
    await stage.sent(*REPORTS, status="Downloaded")
    await stage.settle()
    await stage.finish()
    await stage.sent(*REPORTS, status="Installed")


async def _replaced(stage: Stage) -> None:
    stage.twist(Twist.SLOW_TRANSFER)
    await stage.heard(*ORDERS)
    await stage.sent(*REPORTS, status="Downloading")
    await stage.heard(*ORDERS)
    stage.untwist(Twist.SLOW_TRANSFER)
    await stage.sent(*REPORTS, status="Installed")


async def _publishes(stage: Stage) -> None:
    await stage.heard("PublishFirmware", answered="Accepted")
    await stage.sent(PUBLISHING, status="Published")
    await stage.heard("UnpublishFirmware", answered="Unpublished")


async def _bad_checksum(stage: Stage) -> None:
    stage.twist(Twist.BAD_CHECKSUM)
    await stage.heard("PublishFirmware", answered="Accepted")
    await stage.sent(PUBLISHING, status="InvalidChecksum")


FLOWS: Final = (
    Flow(
        name="firmware",
        line="downloads, installs, restarts with another version",
        play=_installs,
        waits_for=ORDERS,
    ),
    Flow(
        name="firmware-download-fails",
        line="finds no file, as often as it is told to try",
        play=_download_fails,
        waits_for=ORDERS,
    ),
    Flow(
        name="firmware-install-fails",
        line="downloads, but cannot install",
        play=_install_fails,
        waits_for=ORDERS,
    ),
    Flow(
        name="firmware-bad-signature",
        line="finds the signature wrong, reports a security event",
        play=_bad_signature,
        waits_for=ORDERS,
    ),
    Flow(
        name="firmware-bad-certificate",
        line="does not trust the signing certificate",
        play=_bad_certificate,
        waits_for=ORDERS,
    ),
    Flow(
        name="firmware-revoked-certificate",
        line="knows that the signing certificate was revoked",
        play=_revoked,
        waits_for=ORDERS,
    ),
    Flow(
        name="firmware-while-charging",
        line="is charging, installs when the car has left",
        play=_while_charging,
        waits_for=ORDERS,
    ),
    Flow(
        name="firmware-replaced",
        line="is told of another file while it downloads",
        play=_replaced,
        waits_for=ORDERS,
    ),
    Flow(
        name="publish-firmware",
        line="offers a file to its local network, then no more",
        play=_publishes,
        waits_for=("PublishFirmware", "UnpublishFirmware"),
        versions=V201,
    ),
    Flow(
        name="publish-bad-checksum",
        line="finds another checksum than it was told",
        play=_bad_checksum,
        waits_for=("PublishFirmware",),
        versions=V201,
    ),
)
