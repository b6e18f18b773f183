"""``python -m ledger verify``: exit codes, one clear line, no traceback."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger import log, record
from ledger.__main__ import main
from ledger.contracts import RELEASE, code_sha256
from ledger.errors import BundleError, LedgerError, RecordError
from ledger.keys import load_key
from ledger.published import PublishedContract, PublishedContracts
from ledger.receipt_parsing import MAX_BUNDLE_BYTES
from ledger.role_keys import load_signers
from ledger.sqlite_store import SqliteStore, erase_leaf
from tests.support.ledger_site import TARIFF, Site, make_site

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = make_site(tmp_path_factory.mktemp("site"))
    site.add_session("s-1")
    site.worker.step(site.clock.at)
    return site


def written(folder: Path, receipt: object) -> str:
    path = folder / "receipt.json"
    path.write_text(json.dumps(receipt), encoding="utf-8")
    return str(path)


def test_the_command_prints_each_check_and_exits_as_documented(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt = site.receipt("s-1")
    path = written(tmp_path, receipt)
    chain = ["--chain", str(site.folder / "chain.db")]
    assert main(["verify", path]) == 0
    *_, unclaimed, unchecked, verdict = capsys.readouterr().out.splitlines()
    assert verdict == "verdict: unchecked"
    assert unchecked == "not checked: chain, code, head, settlement-on-chain"
    assert unclaimed.startswith("not checked, and nothing the file claims: signed-data")
    assert main(["verify", path, *chain]) == 0
    out = capsys.readouterr().out
    assert "verdict: self-witnessed" in out
    assert "independence cannot be checked" in out
    assert main(["verify", path, *chain, "--strict"]) == 1
    capsys.readouterr()
    assert main(["verify", path, *chain, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "self-witnessed"
    receipt["bill"]["energy_milliwh"] += 1
    assert main(["verify", written(tmp_path, receipt), *chain]) == 1
    *_, false, verdict = capsys.readouterr().out.splitlines()
    wrong = "false: bill, settlement, settlement-on-chain"
    assert (false, verdict) == (wrong, "verdict: false")


def test_a_bill_by_another_tariff_than_the_promised_one_is_refused(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add_session("s-kept", promised=record.sha256_json(TARIFF))
    site.add_session("s-broken", promised="0" * 64)
    assert main(["verify", written(tmp_path, site.receipt("s-kept"))]) == 0
    capsys.readouterr()
    assert main(["verify", written(tmp_path, site.receipt("s-broken"))]) == 1
    assert (
        "the promised tariff differs from what was settled" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xff\xfe\x00",
        b"[]",
        b"{}",
        b"null",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"format": "wattproof-receipt/1"}',
        b'{"format": 1e999}',
        b'{"format": NaN}',
        b"9" * 100_000,
        b'"\\ud800"',
        b" " * (MAX_BUNDLE_BYTES + 1),
    ],
    ids=range(14),
)
def test_hostile_input_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    path = tmp_path / "receipt.json"
    path.write_bytes(data)
    assert main(["verify", str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("error: ")


def test_a_terminal_is_not_steered_by_a_receipt(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt: dict[str, Any] = {**site.receipt("s-1"), "\x1b[2J\nverdict: true": 1}
    assert main(["verify", written(tmp_path, receipt)]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_a_missing_file_and_a_foreign_chain_file_are_told_plainly(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tmp_path / "absent.json")]) == 2
    assert "cannot read" in capsys.readouterr().err
    path = written(tmp_path, site.receipt("s-1"))
    assert main(["verify", path, "--chain", str(tmp_path / "absent.db")]) == 2
    assert "there is no chain file" in capsys.readouterr().err
    assert main(["verify", path, "--chain", path]) == 0
    assert "not an embedded chain" in capsys.readouterr().out


def test_the_offline_verifier_loads_neither_web3_nor_an_evm(
    site: Site, tmp_path: Path
) -> None:
    code = (
        "import sys; from ledger.__main__ import main; "
        f"code = main(['verify', {written(tmp_path, site.receipt('s-1'))!r}]); "
        "bad = {'web3', 'eth', 'eth_account', 'eth_abi', 'gateway'} & set(sys.modules);"
        "sys.exit(f'loaded {bad}' if bad else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_a_session_settles_once_and_needs_its_start(site: Site) -> None:
    with pytest.raises(RecordError, match="settled already"):
        site.add_session("s-1")
    site.conn.rollback()
    site.bills["s-9"] = {}
    with pytest.raises(BundleError, match="not settled"):
        site.receipt("s-9")


@pytest.mark.parametrize("place", [0, 1])
def test_a_session_with_an_erased_leaf_has_no_receipt(
    tmp_path: Path, place: int
) -> None:
    site = make_site(tmp_path)
    site.add_session("s-1")
    site.worker.step(site.clock.at)
    leaves = SqliteStore(site.conn).leaves_of("s-1")
    chosen = leaves[place]
    erase_leaf(site.conn, chosen.leaf_index)
    with pytest.raises(BundleError, match="erased"):
        site.receipt("s-1")


def test_the_pauser_is_a_named_address_or_a_key_of_its_own(tmp_path: Path) -> None:
    made = load_signers(tmp_path / "keys")
    assert made.pauser == load_key(tmp_path / "keys" / "pauser.key").address
    assert made.pauser not in [signer.address for signer in made.all()]
    named = tmp_path / "keys" / "pauser.address"
    named.write_text("0x" + "Ab" * 20 + "\n", encoding="ascii")
    assert load_signers(tmp_path / "keys").pauser == "0x" + "ab" * 20
    for wrong in (b"0x" + b"ab" * 19, b"ab" * 20, b"\xff", b""):
        named.write_bytes(wrong)
        with pytest.raises(LedgerError, match="not an address"):
            load_signers(tmp_path / "keys")
    one_key = tmp_path / "keys" / "admin.key"
    assert load_signers(one_key).pauser == load_key(one_key).address


def test_keys_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    first = load_signers(tmp_path / "keys")
    again = load_signers(tmp_path / "keys")
    addresses = [signer.address for signer in first.all()]
    assert addresses == [signer.address for signer in again.all()]
    assert len(set(addresses)) == 4
    path = tmp_path / "keys" / "anchorer.key"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(LedgerError, match="chmod 600"):
        load_key(path)
    path.chmod(0o600)
    path.write_text("not a key", encoding="ascii")
    with pytest.raises(LedgerError, match="not a key"):
        load_key(path)
    path.write_text("00" * 32, encoding="ascii")
    with pytest.raises(LedgerError, match="secp256k1"):
        load_key(path)


@pytest.fixture
def receipt_file(site: Site, tmp_path: Path) -> str:
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
    receipt_file: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    size: int | None,
) -> None:
    store = SqliteStore(site.conn)
    kept = log.head(store, size)
    of_receipt = json.loads(Path(receipt_file).read_text())["head"]["size"]
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
    found = judged(capsys, receipt_file, "--since", since, "--heads", str(file))
    assert found["consistency"] == "true"
    forked = since[:-1] + ("0" if since[-1] != "0" else "1")
    found = judged(capsys, receipt_file, "--since", forked, "--heads", str(file))
    # No proof refutes a newer head: who made one that leads elsewhere, nobody knows.
    expected = "unchecked" if kept.size > of_receipt else "false"
    assert (found["consistency"], found[""]) == (expected, expected)


def test_published_contracts_are_held_against_receipt_and_chain(
    site: Site, receipt_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = ("--chain", str(site.folder / "chain.db"))
    file = tmp_path / "contracts.json"
    good = published(site)

    def judge(document: dict[str, Any], *more: str) -> tuple[str, str]:
        file.write_text(json.dumps(document))
        found = judged(capsys, receipt_file, "--contracts", str(file), *more)
        return found["contracts"], found["code"]

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
    receipt_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    for option in ("--contracts", "--heads"):
        for file in (bad, tmp_path / "absent.json"):
            assert main(["verify", receipt_file, option, str(file)]) == 2
            assert capsys.readouterr().err.count("\n") == 1
    assert main(["verify", receipt_file, "--since", "x"]) == 2
