"""Upgrades of the security profile that could not succeed are refused, with the fix."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from gateway.domain.certificates import CertificateUse
from gateway.domain.ids import StationId
from gateway.services.x509 import fingerprint_of, serial_of, subject_of
from gateway.store import certificates as rows
from tests.support import pki
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.certificates import Authority, client_context
from tests.support.raw_station import RawStation
from tests.support.trust_store import TrustStore

KIND = "CSMSRootCertificate"
KIND_16 = "CentralSystemRootCertificate"
CP = "CP"
UPGRADE = f"/stations/{CP}/security-upgrade"
BODY = {"security_profile": 2, "url": "wss://csms.example.com/ocpp"}


def server_files(folder: Path, *chain: pki.Holder) -> dict[str, str]:
    """A server certificate, leaf first, as files."""
    cert, key = folder / "server.pem", folder / "server.key"
    cert.write_text("".join(one.pem for one in chain))
    key.write_text(pki.key_pem(chain[0].key))
    key.chmod(0o600)
    return {"cert": str(cert), "key": str(key)}


@asynccontextmanager
async def site_of(
    folder: Path, *chain: pki.Holder, **tls: Any
) -> AsyncIterator[ApiSite]:
    section = {"port": 0, "certificates": [server_files(folder, *chain)], **tls}
    async with api_site(folder, ocpp={"tls": section}) as site:
        await site.register(CP)
        yield site


async def refusal(site: ApiSite, **changes: Any) -> tuple[str, str]:
    """Ask for an upgrade that is refused: the error and its text."""
    answer = await site.call(
        "POST", UPGRADE, {**BODY, **changes}, role="admin", status=409
    )
    return answer["error"], answer["message"]


async def test_profile_3_needs_client_ca_and_force_does_not_help(
    tmp_path: Path,
) -> None:
    root = pki.root("Server root")
    async with (
        site_of(tmp_path, pki.issue("csms.example.com", issuer=root)) as site,
        site.station(CP, "2.0.1") as station,
    ):
        await station.boot()
        for force in (False, True):
            code, text = await refusal(site, security_profile=3, force=force)
            assert code == "no_client_ca"
            assert "ocpp.tls.client_ca is not configured" in text
        await site.call("GET", UPGRADE, status=404)
        assert station.heard == []
        trail = await site.call("GET", "/audit", role="auditor")
        assert not [one for one in trail if "upgrade" in one["action"]]


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_only_a_root_that_signed_our_certificate_will_do(
    tmp_path: Path, version: str
) -> None:
    root, other = pki.root("Server root"), pki.root("Some other root")
    kind = KIND_16 if version == "1.6" else KIND
    async with (
        site_of(tmp_path, pki.issue("csms.example.com", issuer=root)) as site,
        site.station(CP, version) as station,
    ):
        await station.boot()
        store = TrustStore(station)
        code, text = await refusal(site)
        assert code == "no_root_certificate"
        assert "it holds no CSMS root: install the root 'CN=Server root'" in text
        assert "ocpp.tls.certificates[0] (server.pem)" in text
        assert f"POST /stations/{CP}/certificates" in text
        assert '"type": "CSMSRootCertificate"' in text
        store.put(kind, other)
        code, text = await refusal(site)
        assert "the one CSMS root it holds did not sign our server certificate" in text
        store.put(kind, pki.root("A third root"))
        assert "none of the 2 CSMS roots it holds signed" in (await refusal(site))[1]
        namesake = pki.root("Server root")
        said = await site.call(
            "POST",
            f"/stations/{CP}/certificates",
            {"type": KIND, "certificate": namesake.pem},
        )
        assert said["status"] == "Accepted"
        store.put(kind, namesake)
        assert (await refusal(site))[0] == "no_root_certificate"
        assert {action for action, _, _ in station.heard} == {
            "GetInstalledCertificateIds",
            "InstallCertificate",
        }
        store.put(kind, root)  # by hand: we never saw it
        await site.call(
            "POST",
            f"/stations/{CP}/certificates",
            {"type": KIND, "certificate": root.pem},
        )
        if version == "2.0.1":
            station.handlers["SetVariables"] = _accepts
        said = await site.call("POST", UPGRADE, BODY)
        assert said["state"] == "resetting"


async def test_the_url_must_name_a_host_that_our_certificate_is_for(
    tmp_path: Path,
) -> None:
    root = pki.root("Server root")
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("*.wild.example"),
            x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
        ]
    )
    leaf = pki.issue("csms.example.com", issuer=root, extra=names)
    async with (
        site_of(tmp_path, leaf) as site,
        site.station(CP, "2.0.1") as station,
    ):
        await station.boot()
        station.handlers["GetInstalledCertificateIds"] = lambda _: {
            "status": "NotFound"
        }
        for host in ("other.example.com", "a.b.wild.example", "wild.example"):
            code, text = await refusal(site, url=f"wss://{host}:9443/ocpp")
            assert code == "name_not_in_certificate"
            assert f"is not for the host '{host}'" in text
            assert "but for 'csms.example.com', '*.wild.example', '192.0.2.7'" in text
        assert station.heard == []
        for host in ("CSMS.example.com.", "a.wild.example", "192.0.2.7:9443"):
            code, _ = await refusal(site, url=f"wss://{host}/ocpp")
            assert code == "no_root_certificate"
        for url in ("wss://", "ws://csms.example.com", "wss://u:p@x/", "wss://x:0/"):
            said = await site.call("POST", UPGRADE, {**BODY, "url": url}, status=422)
            assert said["error"] == "bad_url"


async def test_a_root_that_only_the_station_has_seen_counts_by_its_name(
    tmp_path: Path,
) -> None:
    root, sub = pki.root("Public root"), None
    sub = pki.issue("Public sub", issuer=root, is_ca=True)
    chain = (pki.issue("csms.example.com", issuer=sub), sub)
    async with (
        site_of(tmp_path, *chain) as site,
        site.station(CP, "2.0.1") as station,
    ):
        await station.boot()
        station.handlers["SetVariables"] = _accepts
        store = TrustStore(station, algorithm="SHA384")
        store.put(KIND, pki.root("Public sub"))
        assert "install the root 'CN=Public root'" in (await refusal(site))[1]
        store.put(KIND, root)
        assert (await site.call("POST", UPGRADE, BODY))["state"] == "resetting"


async def test_a_station_that_does_not_say_what_it_holds_needs_an_admin(
    tmp_path: Path,
) -> None:
    root = pki.root("Server root")
    async with (
        site_of(tmp_path, pki.issue("csms.example.com", issuer=root)) as site,
        site.station(CP) as station,
    ):
        await station.boot()
        station.handlers["GetInstalledCertificateIds"] = lambda _: (
            "NotSupported",
            "no",
        )
        code, text = await refusal(site)
        assert code == "roots_unknown"
        assert "GetInstalledCertificateIds: NotSupported" in text
        said = await site.call("POST", UPGRADE, {**BODY, "force": True}, role="admin")
        assert said["state"] == "resetting"
        line = (await site.call("GET", "/audit", role="auditor"))[0]
        assert line["action"] == "security_upgrade.started"
        assert line["detail"]["force"] is True


async def test_the_client_certificate_must_be_one_that_the_port_takes(
    tmp_path: Path,
) -> None:
    root, clients = pki.root("Server root"), pki.root("Client root")
    file = tmp_path / "clients.pem"
    file.write_text(clients.pem)
    three = {"security_profile": 3}
    async with (
        site_of(
            tmp_path,
            pki.issue("csms.example.com", issuer=root),
            client_ca=str(file),
            organization="Ours",
        ) as site,
        site.station(CP, "2.0.1") as station,
    ):
        await station.boot()
        TrustStore(station).put(KIND, root)
        station.handlers["SetVariables"] = _accepts
        code, text = await refusal(site, **three)
        assert code == "no_client_certificate"
        assert "certificate-renewal" in text
        await installed(site, pki.issue(CP, issuer=pki.root("Stranger")).pem)
        code, text = await refusal(site, **three)
        assert code == "client_certificate_not_trusted"
        assert "'CN=Stranger', which is not in ocpp.tls.client_ca" in text
        await installed(site, pki.issue(CP, issuer=clients).pem)
        code, text = await refusal(site, **three)
        assert "ocpp.tls.organization asks for, 'Ours'" in text


async def test_a_station_goes_from_profile_1_to_3_over_real_tls(tmp_path: Path) -> None:
    root, clients = Authority.new("Server root"), Authority.new("Client root")
    server, own = root.issue(tmp_path, "csms"), clients.issue(tmp_path, CP)
    tls = {
        "port": 0,
        "certificates": [{"cert": str(server.cert), "key": str(server.key)}],
        "client_ca": str(clients.file(tmp_path)),
    }
    async with api_site(tmp_path, ocpp={"tls": tls}) as site:
        await site.register(CP)
        url = site.gateway.ocpp_tls_url
        assert url is not None
        plain = site.station(CP)
        by_password = RawStation(url, CP, PASSWORD, tls=client_context(root, tmp_path))
        by_certificate = RawStation(
            url, CP, None, tls=client_context(root, tmp_path, certificate=own)
        )
        for profile, before, after in (
            (2, plain, by_password),
            (3, by_password, by_certificate),
        ):
            async with before as station:
                await station.boot()
                known = pki.Holder(certificate=root.certificate, key=pki.new_key())
                TrustStore(station).put(KIND_16, known)
                if profile == 3:
                    await installed(site, own.cert.read_text())
                said = await site.call("POST", UPGRADE, {"security_profile": profile})
                assert said["state"] == "resetting"
            async with after as station:
                await station.boot()

                async def is_done() -> bool:
                    return bool((await site.call("GET", UPGRADE))["state"] == "done")

                await site.until(is_done)
                shown = await site.call("GET", f"/stations/{CP}")
                assert shown["security_profile"] == profile
                assert shown["connection"]["profile"] == profile
        trail = await site.call("GET", "/audit", role="auditor")
        ends = [
            (one["actor"], one["detail"]["security_profile"])
            for one in trail
            if one["action"] == "security_upgrade.done"
        ]
        assert ends == [("system", 3), ("system", 2)]


async def installed(site: ApiSite, pem: str) -> None:
    """The station has taken this certificate, newest of all."""
    leaf, now = x509.load_pem_x509_certificate(pem.encode()), site.gateway.clock.now()
    row = rows.IssuedCertificate(
        fingerprint=fingerprint_of(leaf),
        station_id=StationId(CP),
        use=CertificateUse.STATION,
        serial=serial_of(leaf),
        subject=subject_of(leaf),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        chain=pem,
        status="installed",
        issued_at=now,
        changed_at=now,
    )
    await site.gateway.writer.run(lambda conn: rows.put_issued(conn, row))


async def test_an_upgrade_that_is_not_followed_ends_by_its_deadline_and_is_audited(
    tmp_path: Path,
) -> None:
    root = pki.root("Server root")
    async with site_of(tmp_path, pki.issue("csms.example.com", issuer=root)) as site:
        async with site.station(CP) as station:
            await station.boot()
            TrustStore(station).put(KIND_16, root)
            said = await site.call("POST", UPGRADE, BODY)
            assert said["state"] == "resetting"
        async with site.station(CP) as station:  # back with its old profile
            await station.boot()

            async def is_noticed() -> bool:
                known = await site.call("GET", UPGRADE)
                return bool(known["problem"] == "it came back with a lower profile")

            await site.until(is_noticed)
        networks = site.parts.device.networks
        await networks.sweep()
        known = await site.call("GET", UPGRADE)
        assert known["state"] == "resetting"
        networks._complete_within = timedelta(seconds=-1)
        await networks.sweep()
        await networks.sweep()
        known = await site.call("GET", UPGRADE)
        assert known["state"] == "failed"
        assert "did not come in with security profile 2 by " in known["problem"]
        assert known["complete_by"] in known["problem"]
        trail = await site.call("GET", "/audit", role="auditor")
        ends = [one for one in trail if one["action"] == "security_upgrade.failed"]
        assert len(ends) == 1
        assert (ends[0]["actor"], ends[0]["subject"]) == ("system", f"station/{CP}")
        assert ends[0]["detail"]["security_profile"] == 2
        await site.parts.directory.note_profile(StationId(CP), 2)
        assert (await site.call("GET", f"/stations/{CP}"))["security_profile"] == 1


def _accepts(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "setVariableResult": [
            {
                "attributeStatus": "Accepted",
                "component": one["component"],
                "variable": one["variable"],
            }
            for one in asked["setVariableData"]
        ]
    }
