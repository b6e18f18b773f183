"""Authorities: files that are checked before they are trusted, programs that fail."""

import stat
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.clock import SystemClock
from gateway.config import Config
from gateway.config.certificates import CaConfig, ca_of
from gateway.domain.certificates import CertificateUse
from gateway.domain.ids import StationId
from gateway.errors import ConfigError
from gateway.services.authority import Authority
from gateway.services.authority_files import open_authority
from gateway.services.certificate_check import check
from gateway.services.csr import Expected, read_request
from gateway.services.x509 import CertificateError
from tests.support import pki
from tests.support.api_site import api_site, document

SIGNER = """
import os, sys
from datetime import timedelta
sys.path.insert(0, {root!r})
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from tests.support import pki
request = x509.load_pem_x509_csr(sys.stdin.buffer.read())
chain = x509.load_pem_x509_certificates(open({chain!r}, "rb").read())
key = serialization.load_pem_private_key(open({key!r}, "rb").read(), None)
leaf = (
    x509.CertificateBuilder().subject_name(request.subject)
    .issuer_name(chain[0].subject).public_key(request.public_key())
    .serial_number(x509.random_serial_number())
    .not_valid_before(pki.now() - timedelta(hours=1))
    .not_valid_after(pki.now() + timedelta(days=9)).sign(key, hashes.SHA256())
)
if {swap!r}:
    leaf = chain[0]
print(os.environ["WATTPROOF_STATION_ID"], os.environ["WATTPROOF_CERTIFICATE_USE"],
      file=sys.stderr)
print(pki.pem(leaf, *chain))
"""


@pytest.fixture
def request_() -> x509.CertificateSigningRequest:
    return read_request(pki.csr("NEW"), Expected(names=frozenset({"NEW"})))


def opened(folder: Path, **members: Any) -> Authority:
    config = ca_of({"ca": members}, folder)
    assert config is not None
    return open_authority(config, folder=folder / "ca", clock=SystemClock())


async def sign(
    authority: Authority, request: x509.CertificateSigningRequest
) -> tuple[x509.Certificate, ...]:
    return await authority.sign(
        request, station_id=StationId("NEW"), use=CertificateUse.STATION
    )


def program(folder: Path, *, swap: bool = False) -> list[str]:
    """A program that signs with a sub-CA, and tells the root as well."""
    root = pki.root()
    sub = pki.issue("Sub-CA", issuer=root, is_ca=True)
    (folder / "chain.pem").write_text(sub.pem + root.pem)
    (folder / "sub.key").write_text(pki.key_pem(sub.key))
    text = SIGNER.format(
        root=str(Path(__file__).parents[3]),
        chain=str(folder / "chain.pem"),
        key=str(folder / "sub.key"),
        swap=swap,
    )
    (folder / "sign.py").write_text(text)
    return [sys.executable, str(folder / "sign.py")]


async def test_a_program_signs_and_its_chain_goes_out_without_the_root(
    tmp_path: Path, request_: x509.CertificateSigningRequest
) -> None:
    authority = opened(tmp_path, command=program(tmp_path))
    leaf, sub = await sign(authority, request_)
    leaf.verify_directly_issued_by(sub)
    assert leaf.public_key() == request_.public_key()


async def test_a_station_gets_what_the_program_signed(tmp_path: Path) -> None:
    command = program(tmp_path)
    async with api_site(tmp_path, ca={"command": " ".join(command)}) as site:
        await site.register("NEW")
        async with site.station("NEW", "1.6") as station:
            await station.boot()
            said = await station.ask("SignCertificate", {"csr": pki.csr("NEW")})
            assert said["status"] == "Accepted"
            await station.heard_so_far("CertificateSigned", 1)
            sent = station.calls("CertificateSigned")[0]["certificateChain"]
            assert sent.count("BEGIN CERTIFICATE") == 2


BROKEN: dict[str, tuple[list[str], str]] = {
    "missing": (["./no-such-program"], "cannot be run"),
    "fails": (["sh", "-c", "echo the token is locked >&2; exit 3"], "token is locked"),
    "silent": (["true"], "not a certificate"),
    "talks": (["echo", "hello"], "not a certificate"),
    "binary": (["sh", "-c", "printf '\\377\\376'"], "its output"),
    "floods": (["sh", "-c", "head -c 900000 /dev/zero"], "more than 65536 bytes"),
    "sleeps": (["sleep", "60"], "more than 1 s"),
    "leaves a child": (["sh", "-c", "sleep 61 & exit 0"], "more than 1 s"),
    "hides a child": (["sh", "-c", "sleep 60 & sleep 60"], "more than 1 s"),
}


@pytest.mark.parametrize(("command", "why"), BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_program_says_what_is_wrong_and_leaves_nothing_behind(
    tmp_path: Path,
    request_: x509.CertificateSigningRequest,
    command: list[str],
    why: str,
) -> None:
    authority = opened(tmp_path, command=command, command_timeout_s=1)
    started_s = time.perf_counter()
    with pytest.raises(CertificateError, match=why):
        await sign(authority, request_)
    assert time.perf_counter() - started_s < 10


async def test_a_program_that_certifies_another_key_is_not_believed(
    tmp_path: Path, request_: x509.CertificateSigningRequest
) -> None:
    authority = opened(tmp_path, command=program(tmp_path, swap=True))
    with pytest.raises(CertificateError, match="not for the requested key"):
        await sign(authority, request_)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    holder = pki.root("Our root")
    (tmp_path / "ca.pem").write_text(holder.pem)
    (tmp_path / "ca.key").write_text(pki.key_pem(holder.key))
    (tmp_path / "ca.key").chmod(0o600)
    return tmp_path


async def test_an_authority_of_the_configuration_signs_no_longer_than_it_lives(
    files: Path, request_: x509.CertificateSigningRequest
) -> None:
    authority = opened(files, cert="ca.pem", key="ca.key", validity_days=3_000)
    (leaf,) = await sign(authority, request_)
    root = x509.load_pem_x509_certificate((files / "ca.pem").read_bytes())
    leaf.verify_directly_issued_by(root)
    assert leaf.not_valid_after_utc == root.not_valid_after_utc
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["NEW"]
    basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert basic.value.ca is False


async def test_an_rsa_request_is_signed_for_key_encipherment(files: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    request = read_request(pki.csr("NEW", key=key), Expected(names=frozenset({"NEW"})))
    (leaf,) = await sign(opened(files, cert="ca.pem", key="ca.key"), request)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.key_encipherment
    assert not usage.key_cert_sign


async def test_an_authority_that_has_ended_signs_nothing(
    files: Path, request_: x509.CertificateSigningRequest
) -> None:
    old = pki.issue(
        "Old", issuer=None, is_ca=True, begin=-2 * pki.DAY, end=timedelta(days=-1)
    )
    (files / "ca.pem").write_text(old.pem)
    (files / "ca.key").write_text(pki.key_pem(old.key))
    with pytest.raises(CertificateError, match="not valid now"):
        await sign(opened(files, cert="ca.pem", key="ca.key"), request_)


def test_wrong_files_are_named_before_anything_starts(files: Path) -> None:
    def refused() -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            opened(files, cert="ca.pem", key="ca.key")
        return caught.value

    (files / "ca.key").chmod(0o644)
    error = refused()
    assert (error.key, "chmod 600" in error.problem) == ("ca.key", True)
    (files / "ca.key").write_text(pki.key_pem(pki.new_key()))
    (files / "ca.key").chmod(0o600)
    assert "does not belong" in refused().problem
    (files / "ca.key").write_text("no key")
    assert refused().key == "ca.key"
    leaf = pki.issue("Leaf", issuer=pki.root())
    (files / "ca.pem").write_text(leaf.pem)
    (files / "ca.key").write_text(pki.key_pem(leaf.key))
    assert "may not sign" in refused().problem
    (files / "ca.pem").write_text("no certificate")
    assert refused().key == "ca.cert"
    (files / "ca.pem").unlink()
    assert refused().key == "ca.cert"


def test_the_site_check_knows_the_files_before_the_start(files: Path) -> None:
    def said(**sections: Any) -> list[str]:
        return check(Config.from_dict(document(**sections), files), pki.now())

    ours = {"cert": "ca.pem", "key": "ca.key"}
    assert said() == []
    assert "made at the first start" in said(ca={})[0]
    assert "before certificates" in said(ca=ours)[0]  # it lives for a day only
    assert said(ca={"command": "true"}) == []
    with pytest.raises(ConfigError, match="no-such is not a program"):
        said(ca={"command": "./no-such"})
    old = pki.issue("Old", issuer=None, is_ca=True, begin=-2 * pki.DAY, end=-pki.DAY)
    (files / "roots.pem").write_text(old.pem + pki.root().pem)
    assert said(iso15118={"roots": ["roots.pem"]}) == [
        "iso15118.roots: CN=Old has expired"
    ]
    (files / "roots.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"iso15118.roots\[0\]"):
        said(iso15118={"roots": ["roots.pem"]})


def test_the_files_are_made_once_where_the_configuration_says(tmp_path: Path) -> None:
    config = CaConfig(cert=tmp_path / "a/x.pem", key=tmp_path / "b/x.key")
    open_authority(config, folder=tmp_path, clock=SystemClock())
    made = (tmp_path / "a/x.pem").read_bytes()
    assert stat.S_IMODE((tmp_path / "b/x.key").stat().st_mode) == 0o600
    open_authority(config, folder=tmp_path, clock=SystemClock())
    assert (tmp_path / "a/x.pem").read_bytes() == made
    assert not (tmp_path / "ca.pem").exists()
