"""``wattproof verify`` and ``python -m ledger verify``, as processes."""

import copy
import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from ledger.__main__ import main
from ledger.check_names import RECEIPT, SIGNED, WHERE_THERE_IS_ONE
from tests.support.ledger_site import Site, make_site
from tests.support.ocmf import Meter
from tests.support.optimizer_problems import typical_day
from tests.support.rpc_server import result, running_rpc

ROOT = Path(__file__).parents[3]
CHECKS = [name for name in RECEIPT if name not in WHERE_THERE_IS_ONE]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = make_site(tmp_path_factory.mktemp("site"))
    site.add_session("s-1")
    site.worker.step(site.clock.at, flush=True)
    return site


@pytest.fixture
def receipt(site: Site, tmp_path: Path) -> Path:
    return written(tmp_path, site.receipt("s-1"))


def written(folder: Path, document: dict[str, Any]) -> Path:
    path = folder / "receipt.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def python(*arguments: object, module: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def wattproof(*arguments: object) -> subprocess.CompletedProcess[str]:
    return python("verify", *arguments, module="gateway")


def verify(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same without a process: most of what is tested needs none."""
    given = ["verify", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(given)
    return subprocess.CompletedProcess(given, code, out.getvalue(), err.getvalue())


def test_exit_codes_say_true_or_not_false_or_no_receipt(
    site: Site, receipt: Path, tmp_path: Path
) -> None:
    chain = ("--chain", site.folder / "chain.db")
    assert wattproof(receipt).returncode == 0
    assert verify(receipt, "--strict").returncode == 1
    assert verify(receipt, *chain).returncode == 0
    assert verify(receipt, *chain, "--strict").returncode == 1
    forged = json.loads(receipt.read_text(encoding="utf-8"))
    forged["bill"]["amount_minor"] -= 1
    done = verify(written(tmp_path, forged))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "verdict: false"
    assert done.stderr == ""
    receipt.write_text("{}", encoding="utf-8")
    done = verify(receipt)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: receipt lacks 'format'\n"
    receipt = written(tmp_path, site.receipt("s-1"))
    done = verify(receipt, "--meter-key", Meter().public_key)
    assert done.returncode == 1, "no meter signed"
    assert verify(receipt, "--meter-key", "no key").returncode == 2
    both = wattproof(receipt, "--rpc", "http://127.0.0.1:9", *chain)
    assert both.returncode == 2
    assert wattproof().returncode == 2
    assert "--strict" in wattproof("--help").stdout


def test_json_lists_every_check_with_its_verdict_and_reason(
    site: Site, receipt: Path, tmp_path: Path
) -> None:
    done = verify(receipt, "--chain", site.folder / "chain.db", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]) == (0, "self-witnessed")
    assert [check["name"] for check in report["checks"]] == CHECKS
    verdicts = [check["verdict"] for check in report["checks"]]
    assert verdicts == ["true"] * 9 + ["unchecked"] * 6 + ["self-witnessed"] * 4
    unclaimed = [check for check in report["checks"] if not check["is_claimed"]]
    assert [one["name"] for one in unclaimed] == CHECKS[9:15]
    assert unclaimed[1]["reason"].startswith("not signed by the meter")
    assert all(check["reason"] for check in report["checks"])
    report = json.loads(verify(receipt, "--json").stdout)
    verdicts = [check["verdict"] for check in report["checks"]]
    assert (verdicts[-4:], report["verdict"]) == (["unchecked"] * 4, "unchecked")
    done = verify(tmp_path / "absent.json", "--json")
    assert (done.returncode, list(json.loads(done.stdout))) == (2, ["error"])


def test_a_node_that_is_away_leaves_unchecked_and_another_chain_is_false(
    receipt: Path,
) -> None:
    done = verify(receipt, "--rpc", "http://127.0.0.1:9", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]) == (0, "unchecked")
    assert "does not answer" in report["checks"][-1]["reason"]

    def another(method: str, _params: list[object]) -> bytes:
        genesis = {"hash": "0x" + "11" * 32}
        return result("0x1" if method == "eth_chainId" else genesis)

    with running_rpc(another) as server:
        done = verify(receipt, "--rpc", server.url, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]) == (1, "false")
    chain, *after = report["checks"][CHECKS.index("chain") :]
    assert (chain["verdict"], chain["reason"]) == ("false", "another chain: id 1")
    for check in after:
        assert check["verdict"] == "unchecked"
        assert check["reason"] == "not judged: that is another chain"


def test_what_rests_on_a_check_that_fails_is_listed_and_not_judged(
    site: Site, tmp_path: Path
) -> None:
    document = site.receipt("s-1")
    chain = ("--chain", site.folder / "chain.db", "--json")

    def judged(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
        done = verify(written(tmp_path, document), *chain)
        checks = json.loads(done.stdout)["checks"]
        assert [one["name"] for one in checks] == CHECKS
        return {one["name"]: (one["verdict"], one["reason"]) for one in checks}

    spaced = copy.deepcopy(document)
    spaced["leaves"][1]["record"] += " "
    found = judged(spaced)
    wrong = {name for name, (verdict, _) in found.items() if verdict == "false"}
    assert wrong == {"canonical", "commitment"}
    assert {name for name, (_, why) in found.items() if "not judged: " in why} == {
        *("records", "readings", "registers", "settlement"),
        *(*SIGNED, "settlement-on-chain"),
    }
    assert found["inclusion"][0] == found["bill"][0] == "true"
    assert found["head"][0] == "self-witnessed"

    bent = copy.deepcopy(document)
    bent["leaves"][1]["commitment"] = "11" * 32
    found = judged(bent)
    wrong = {name for name, (verdict, _) in found.items() if verdict == "false"}
    assert wrong == {"commitment", "inclusion"}

    old = copy.deepcopy(document)
    for leaf in old["leaves"]:
        del leaf["commitment"]
    assert judged(old)["commitment"] == (
        "true",
        "8 commitments computed, as the log has it",
    )
    old["leaves"][1]["salt"] = "11" * 32
    found = judged(old)
    assert found["inclusion"][0] == "false"
    assert found["commitment"][0] == "unchecked"
    assert "not judged: no commitment is stated" in found["commitment"][1]


@pytest.mark.parametrize("asks_chain", [False, True])
def test_the_ledger_verifies_as_a_module_without_the_gateway(
    site: Site, receipt: Path, asks_chain: bool
) -> None:
    chain = ["--chain", str(site.folder / "chain.db")] if asks_chain else []
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['ledger', 'verify', {str(receipt)!r}, *{chain!r}]\n"
        "try:\n"
        "    runpy.run_module('ledger', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as ended:\n"
        "    assert ended.code == 0, ended.code\n"
        "islands = {'gateway', 'optimizer', 'sim_chargers', 'eth_tester'}\n"
        "roots = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not roots & islands, roots & islands\n"
        f"assert ('web3' in roots) is {asks_chain}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = "self-witnessed" if asks_chain else "unchecked"
    assert done.stdout.splitlines()[-1] == f"verdict: {said}"


def test_a_plan_is_recognised_by_its_format_and_checked_with_the_same_exit_codes(
    tmp_path: Path,
) -> None:
    problem = tmp_path / "problem.json"
    day = typical_day(2, n_session=3, n_step=8).to_json()
    problem.write_text(json.dumps(day), encoding="utf-8")
    solved = python("solve", problem, module="gateway")
    assert solved.returncode == 0
    plan = json.loads(solved.stdout)
    path = written(tmp_path, plan)
    assert wattproof(path, "--strict").returncode == 0
    report = json.loads(verify("--json", path).stdout)
    assert report["verdict"] == "true"
    plan["certificate"]["currents_da"][0][0] += 10
    done = verify(written(tmp_path, plan))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "verdict: false"
    del plan["problem"]
    done = verify(written(tmp_path, plan))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: plan lacks 'problem'\n"
