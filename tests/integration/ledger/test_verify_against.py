"""What a verifier brings along: heads of other times, contracts that are published."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger import log
from ledger.__main__ import main
from ledger.contracts import RELEASE, code_sha256
from ledger.published import PublishedContract, PublishedContracts
from ledger.sqlite_store import SqliteStore
from tests.support.ledger_site import Site, make_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = make_site(tmp_path_factory.mktemp("site"))
    site.add_noise(6)
    site.add_session("s-1")
    site.worker.step(site.clock.at)
    site.add_noise(9)
    return site


@pytest.fixture
def receipt(site: Site, tmp_path: Path) -> str:
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(site.receipt("s-1")), encoding="utf-8")
    return str(path)


def judged(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    main(["verify", "--json", *arguments])
    found = json.loads(capsys.readouterr().out)
    checks = {one["name"]: one["verdict"] for one in found["checks"]}
    return checks | {"": found["verdict"]}


def published(site: Site) -> dict[str, Any]:
    contracts = site.worker.bundle_chain
    assert contracts is not None
    named = {
        "StatusAnchor": contracts.anchor_contract,
        "Settlement": contracts.settlement_contract,
    }
    return PublishedContracts(
        chain_id=contracts.chain_id,
        genesis_hash=contracts.genesis_hash,
        release=RELEASE,
        contracts={
            name: PublishedContract(
                address=address, code_sha256=code_sha256(site.chain.code(address))
            )
            for name, address in named.items()
        },
    ).to_json()


@pytest.mark.parametrize("size", [0, 6, 17, None])
def test_a_kept_head_and_a_proof_from_anybody_show_one_log(
    site: Site,
    receipt: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    size: int | None,
) -> None:
    store = SqliteStore(site.conn)
    kept = log.head(store, size)
    of_receipt = json.loads(Path(receipt).read_text())["head"]["size"]
    old, new = sorted([kept.size, of_receipt])
    proof = {
        "old_size": old,
        "new_size": new,
        "proof": [step.hex() for step in log.consistency_proof(store, old, new)],
    }
    file = tmp_path / "proofs.json"
    file.write_text(
        json.dumps({"format": "wattproof-heads/1", "heads": [], "proofs": [proof]})
    )
    since = f"{kept.size}:{kept.root.hex()}"
    found = judged(capsys, receipt, "--since", since, "--heads", str(file))
    assert found["consistency"] == "true"
    forked = since[:-1] + ("0" if since[-1] != "0" else "1")
    found = judged(capsys, receipt, "--since", forked, "--heads", str(file))
    assert (found["consistency"], found[""]) == ("false", "false")


def test_published_contracts_are_held_against_receipt_and_chain(
    site: Site, receipt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = ("--chain", str(site.folder / "chain.db"))
    file = tmp_path / "contracts.json"
    good = published(site)

    def judge(document: dict[str, Any], *more: str) -> tuple[str, str]:
        file.write_text(json.dumps(document))
        found = judged(capsys, receipt, "--contracts", str(file), *more)
        return found["contracts"], found["chain"]

    assert judge(good) == ("true", "unchecked")
    assert judge(good, *chain) == ("true", "self-witnessed")
    for change in (
        {"chain_id": good["chain_id"] + 1},
        {"genesis_hash": "0x" + "ab" * 32},
        {"contracts": {"StatusAnchor": good["contracts"]["StatusAnchor"]}},
        {
            "contracts": {
                "StatusAnchor": good["contracts"]["Settlement"],
                "Settlement": good["contracts"]["StatusAnchor"],
            }
        },
    ):
        assert judge(good | change) == ("false", "unchecked")
    other = json.loads(json.dumps(good))
    other["contracts"]["Settlement"]["code_sha256"] = "00" * 32
    assert judge(other, *chain) == ("true", "false")


def test_bad_files_are_one_line_and_exit_2(
    receipt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    for option in ("--contracts", "--heads"):
        for file in (bad, tmp_path / "absent.json"):
            assert main(["verify", receipt, option, str(file)]) == 2
            assert capsys.readouterr().err.count("\n") == 1
    assert main(["verify", receipt, "--since", "x"]) == 2
