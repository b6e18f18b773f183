"""What a station holds: listed, installed and deleted (blocks M03, M04, M05)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.services.x509 import fingerprint_of, hash_of
from tests.support import forgery, pki
from tests.support.api_site import ApiSite, api_site
from tests.support.trust_store import TrustStore, wire

VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
CENTRAL = {"1.6": "CentralSystemRootCertificate", "2.0.1": "CSMSRootCertificate"}
MAKER = "ManufacturerRootCertificate"
PATH = "/stations/NEW/certificates"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path) as site:
        await site.register("NEW")
        yield site


async def listed(site: ApiSite, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await site.call("GET", PATH + query, role="viewer")
    return found


async def asked_now(site: ApiSite, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await site.call("POST", f"{PATH}/refresh{query}")
    return found


@pytest.mark.use_case("M03", "M04", "M05")
@pytest.mark.action16(
    "InstallCertificate to the station",
    "GetInstalledCertificateIds to the station",
    "DeleteCertificate to the station",
)
@VERSIONS
async def test_a_root_is_installed_listed_and_deleted(
    site: ApiSite, version: str
) -> None:
    """TC_M_01, TC_M_02, TC_M_18, TC_M_20."""
    central, maker = pki.root("Central"), pki.root("Maker")
    other = pki.root("Central 2")
    async with site.station("NEW", version) as station:
        await station.boot()
        store = TrustStore(station)
        for kind, holder in (
            (CENTRAL[version], central),
            (MAKER, maker),
            (CENTRAL[version], other),
        ):
            said = await site.call(
                "POST", PATH, {"type": kind, "certificate": holder.pem}
            )
            assert said == {
                "outcome": "result",
                "command": "InstallCertificate",
                "status": "Accepted",
                "detail": None,
            }
            store.put(kind, holder)
        sent = station.calls("InstallCertificate")
        assert [one["certificateType"] for one in sent] == [
            CENTRAL[version],
            MAKER,
            CENTRAL[version],
        ]
        station.heard.clear()
        assert not any(one["is_live"] for one in await listed(site))
        assert station.heard == [], "a viewer's look sends nothing"
        await site.call("POST", f"{PATH}/refresh", role="viewer", status=403)
        found = await asked_now(site)
        assert {one["subject"] for one in found} == {
            "CN=Central",
            "CN=Central 2",
            "CN=Maker",
        }
        assert all(one["is_live"] and one["told_at"] for one in found)
        assert {one["fingerprint"] for one in found} == {
            fingerprint_of(holder.certificate) for holder in (central, maker, other)
        }
        asked = station.calls("GetInstalledCertificateIds")
        assert asked == (
            [{"certificateType": CENTRAL["1.6"]}, {"certificateType": MAKER}]
            if version == "1.6"
            else [{}]
        )
        serial = f"{central.certificate.serial_number:x}"
        said = await site.call("DELETE", f"{PATH}/{serial}")
        assert (said["outcome"], said["status"]) == ("result", "Accepted")
        assert station.calls("DeleteCertificate") == [
            {"certificateHashData": store.hash(central)}
        ]
    offline = await listed(site)
    assert {one["subject"] for one in offline} == {"CN=Central 2", "CN=Maker"}
    assert not any(one["is_live"] for one in offline)


@pytest.mark.use_case("M04")
@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
async def test_hash_data_go_back_as_the_station_spelled_them(
    site: ApiSite, algorithm: str
) -> None:
    """M04.FR.07, TC_M_20: in every algorithm; also by fingerprint."""
    first, second = pki.root("First"), pki.root("Second")
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        store = TrustStore(station, algorithm=algorithm)
        body = {"type": "CSMSRootCertificate", "certificate": first.pem}
        await site.call("POST", PATH, body)
        for one in (first, second):
            store.put("CSMSRootCertificate", one)
        name = fingerprint_of(first.certificate)
        said = await site.call("DELETE", f"{PATH}/{name}")
        assert said["status"] == "Accepted"
        sent = station.calls("DeleteCertificate")[0]["certificateHashData"]
        assert sent["hashAlgorithm"] == algorithm
        # a certificate that never passed through here is found by its number
        store.put("CSMSRootCertificate", first)
        number = f"00{second.certificate.serial_number:X}"
        assert (await site.call("DELETE", f"{PATH}/{number}"))["status"] == "Accepted"


async def test_the_last_valid_root_stays_unless_an_admin_insists(
    site: ApiSite,
) -> None:
    root = pki.root("Only")
    expired = pki.issue(
        "Old", issuer=None, is_ca=True, begin=-2 * pki.DAY, end=-pki.DAY
    )
    name = f"{root.certificate.serial_number:x}"
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        store = TrustStore(station)
        store.put("CSMSRootCertificate", root)
        store.put("CSMSRootCertificate", expired)
        # what the expired one is, is known from an earlier installation
        await site.call(
            "POST",
            "/stations/NEW/calls",
            {
                "action": "InstallCertificate",
                "payload": {
                    "certificateType": "CSMSRootCertificate",
                    "certificate": expired.pem,
                },
            },
        )
        refused = await site.call("DELETE", f"{PATH}/{name}", status=409)
        assert refused["error"] == "last_root"
        await site.call("DELETE", f"{PATH}/{name}?override=true", status=403)
        assert station.calls("DeleteCertificate") == []
        said = await site.call("DELETE", f"{PATH}/{name}?override=true", role="admin")
        assert said["status"] == "Accepted"


async def test_a_deletion_that_fails_says_so_and_changes_nothing(
    site: ApiSite,
) -> None:
    """TC_M_21."""
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        store = TrustStore(station)
        for name in ("One", "Two"):
            store.put("CSMSRootCertificate", pki.root(name))
        station.handlers["DeleteCertificate"] = lambda _: {"status": "Failed"}
        serial = (await asked_now(site))[0]["serial_number"]
        said = await site.call("DELETE", f"{PATH}/{serial}")
        assert (said["outcome"], said["status"]) == ("result", "Failed")
    assert len(await listed(site)) == 2


async def test_an_installation_that_fails_says_so(site: ApiSite) -> None:
    """TC_M_05."""
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        station.handlers["InstallCertificate"] = lambda _: {"status": "Failed"}
        body = {"type": "CSMSRootCertificate", "certificate": pki.root().pem}
        said = await site.call("POST", PATH, body)
        assert (said["outcome"], said["status"]) == ("result", "Failed")
    assert await listed(site) == []


async def test_a_filter_by_type_asks_for_that_type_and_may_find_nothing(
    site: ApiSite,
) -> None:
    """TC_M_13, TC_M_19."""
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        store = TrustStore(station)
        store.put("CSMSRootCertificate", pki.root())
        assert await asked_now(site, f"?type={MAKER}") == []
        assert station.calls("GetInstalledCertificateIds") == [
            {"certificateType": [MAKER]}
        ]
        both = await asked_now(site, f"?type={MAKER}&type=CSMSRootCertificate")
        assert [one["type"] for one in both] == ["CSMSRootCertificate"]
        await site.call("GET", f"{PATH}?type=Whatever", status=422)


async def test_a_v2g_chain_is_listed_with_its_sub_cas(site: ApiSite) -> None:
    root = pki.root()
    sub = pki.issue("Sub", issuer=root, is_ca=True)
    leaf = pki.issue("SECC", issuer=sub)
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        store = TrustStore(station)
        store.extra = [
            {
                "certificateType": "V2GCertificateChain",
                "certificateHashData": wire(hash_of(leaf.certificate, sub.certificate)),
                "childCertificateHashData": [
                    wire(hash_of(sub.certificate, root.certificate))
                ],
            }
        ]
        (found,) = await asked_now(site)
        assert found["type"] == "V2GCertificateChain"
        assert found["subject"] is None
        (child,) = found["children"]
        assert child["serial_number"] == f"{sub.certificate.serial_number:x}"


async def test_raw_calls_are_observed_and_go_out_unchanged(site: ApiSite) -> None:
    root = pki.root("By hand")
    leaf = pki.issue("NEW", issuer=root)

    async def raw(action: str, payload: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = await site.call(
            "POST", "/stations/NEW/calls", {"action": action, "payload": payload}
        )
        assert station.calls(action)[-1] == payload
        return answer

    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        store = TrustStore(station)
        kind = "MORootCertificate"
        await raw(
            "InstallCertificate", {"certificateType": kind, "certificate": root.pem}
        )
        store.put(kind, root)
        await raw("GetInstalledCertificateIds", {"certificateType": [kind]})
        await raw("CertificateSigned", {"certificateChain": leaf.pem})
        await raw("CertificateSigned", {"certificateChain": "not a certificate"})
        found = {one["subject"]: one for one in await asked_now(site)}
        assert found["CN=By hand"]["type"] == kind
        assert found["CN=NEW"]["status"] == "installed"
        await raw("DeleteCertificate", {"certificateHashData": store.hash(root)})
    assert [one["subject"] for one in await listed(site)] == ["CN=NEW"]


async def test_nothing_but_a_valid_root_is_sent(site: ApiSite) -> None:
    root = pki.root()
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()

        async def refused(kind: str, certificate: str) -> str:
            body = {"type": kind, "certificate": certificate}
            return str((await site.call("POST", PATH, body, status=422))["error"])

        central = "CSMSRootCertificate"
        leaf = pki.issue("Leaf", issuer=root)
        old = pki.issue(
            "Old", issuer=None, is_ca=True, begin=-2 * pki.DAY, end=-pki.DAY
        )
        for bad in ("", "hello", leaf.pem, old.pem, root.pem + root.pem, "x" * 5_600):
            assert await refused(central, bad) in {"bad_certificate", "invalid"}
        _, odd = forgery.with_serial(root.certificate, root.key, 0)
        assert await refused(central, odd) == "bad_certificate"
        assert await refused("Whatever", root.pem) == "bad_type"
        assert await refused("V2GCertificateChain", root.pem) == "not_in_this_version"
        assert station.calls("InstallCertificate") == []
    async with site.station("NEW", "1.6") as station:
        await station.boot()
        assert await refused("V2GRootCertificate", root.pem) == "not_in_this_version"


async def test_what_is_not_there_or_not_said_is_not_deleted(site: ApiSite) -> None:
    await site.call("DELETE", f"{PATH}/ab", status=409)
    assert await listed(site) == []
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        store = TrustStore(station)
        unknown = await site.call("DELETE", f"{PATH}/ab", status=404)
        assert unknown["error"] == "unknown_certificate"
        store.put("CSMSRootCertificate", pki.root())
        station.handlers["GetInstalledCertificateIds"] = lambda _: ("NotSupported", "")
        silent = await site.call("DELETE", f"{PATH}/ab", status=409)
        assert silent["error"] == "not_listed"
        assert station.calls("DeleteCertificate") == []


async def test_a_listing_that_breaks_the_schema_changes_nothing(
    site: ApiSite,
) -> None:
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        store = TrustStore(station)
        store.put("CSMSRootCertificate", pki.root())
        before = await asked_now(site)
        for broken in (
            {"status": "Accepted", "certificateHashDataChain": [{}]},
            {"status": "Accepted", "certificateHashDataChain": "x"},
            {"status": "Accepted", "certificateHashDataChain": [7]},
            {"status": "What"},
            {},
        ):
            station.handlers["GetInstalledCertificateIds"] = lambda _, b=broken: b  # type: ignore[misc]  # bound now
            after = await asked_now(site)
            assert [one["fingerprint"] for one in after] == [
                one["fingerprint"] for one in before
            ]
            assert [one["serial_number"] for one in after] == [
                one["serial_number"] for one in before
            ], broken
