"""How a station shall fare when it is asked for something; set by flows."""

from enum import StrEnum


class Twist(StrEnum):
    """One thing that goes otherwise than well."""

    DOWNLOAD_FAILS = "download-fails"
    INSTALL_FAILS = "install-fails"
    VERIFICATION_FAILS = "verification-fails"
    BAD_SIGNATURE = "bad-signature"
    REVOKED_CERTIFICATE = "revoked-certificate"
    INVALID_CERTIFICATE = "invalid-certificate"
    SLOW_TRANSFER = "slow-transfer"
    UPLOAD_FAILS = "upload-fails"
    UPLOAD_DENIED = "upload-denied"
    LIST_FAILS = "list-fails"
    UNLOCK_FAILS = "unlock-fails"
    BAD_CHECKSUM = "bad-checksum"
    INSTALL_CERTIFICATE_FAILS = "install-certificate-fails"
    REFUSES_SIGNED_CERTIFICATE = "refuses-signed-certificate"
