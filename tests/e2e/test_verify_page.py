"""The page that verifies receipts comes to what the command line comes to."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway.domain.bill import RegisterPoint, price
from gateway.domain.tariff import Tariff
from gateway.web.verify_page import verify_page
from ledger import log, merkle, pricing, record
from ledger.check_names import CABINET
from ledger.contracts import RELEASE, code_sha256
from ledger.errors import BundleError
from ledger.published import PublishedContract, PublishedContracts
from ledger.settle import SettlementWay
from ledger.sqlite_store import SqliteStore
from tests.property import test_bill_against_verifier as plain
from tests.property.domain import test_full_tariffs as full
from tests.property.ledger.test_receipt_tampering import flipped, leaves, replaced
from tests.support import receipt_cases
from tests.support.browser import Page, browser_page, require_browser
from tests.support.cabinet_cases import cabinet_history, cabinet_texts
from tests.support.chain_node import served_chain
from tests.support.ledger_site import Site
from tests.support.page_checks import (
    CUT_TEXTS,
    LOW_CONTRAST,
    SIDEWAYS,
    SMALL_TARGETS,
    UNREACHABLE,
)
from tests.support.receipt_cases import Case
from tests.support.rpc_server import Answer, error, result
from tests.support.signed_receipt import Forge

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

ASK = """
(async () => {
  const found = [];
  for (const { text, ...given } of CASES) {
    const one = await wattproof.verify(text, { ...given, rpc: NODE });
    found.push(one.error ? "refused"
      : one.checks.map((check) => [check.name, check.verdict, check.is_claimed]));
  }
  return found;
})()
"""
VECTORS = Path(__file__).parents[2] / "docs" / "vectors" / "ledger.json"
BILL = ("bill", "tariff")
SCREENS = [(1280, 800), (390, 844), (360, 740)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    require_browser()
    kept = tmp_path_factory.mktemp("kept") / "wattproof-verify.html"
    kept.write_text(verify_page(), encoding="utf-8")
    with browser_page() as one:
        one.open(kept.as_uri())
        yield one


@pytest.fixture(scope="module")
def credited() -> dict[str, Any]:
    return receipt_cases.credited_receipt(SettlementWay.BATCH)


def asked(page: Page, cases: list[Case], node: str = "") -> list[object]:
    given = [
        {
            "text": one.text,
            "meterKey": one.key,
            "heads": one.heads,
            "since": one.since,
            "contracts": one.contracts or None,
        }
        for one in cases
    ]
    script = ASK.replace("NODE", json.dumps(node)).replace("CASES", json.dumps(given))
    found: list[object] = page.evaluate(script)
    return found


def saying(said: bytes | int | None) -> Answer:
    return lambda _method, _params: said


def alone_under_a_root(receipt: dict[str, Any]) -> dict[str, object]:
    """A root of one's own, which no transaction recorded."""
    leaf = next(one for one in receipt["leaves"] if one["kind"] == "settlement")
    salt, data = bytes.fromhex(leaf["salt"]), leaf["record"].encode()
    root = merkle.leaf_hash(record.commitment(salt, data)).hex()
    return {"root": root, "index": 0, "size": 1, "inclusion": []}


def chain_cases(receipt: dict[str, Any]) -> Iterator[Case]:
    """The receipt, and what it says of the chain changed field by field."""
    yield Case(json.dumps(receipt))
    for at, value in leaves(receipt):
        if at[0] in {"chain", "settlement_tx", "credits"} or at[-1] in {
            "tx_hash",
            "block",
        }:
            yield Case(json.dumps(replaced(receipt, at, flipped(value, 3))))
    contracts = receipt["chain"]
    swapped = {
        "anchor_contract": contracts["settlement_contract"],
        "settlement_contract": contracts["anchor_contract"],
    }
    tx = receipt["settlement_tx"]
    anchored = {name: receipt["head"][name] for name in ("tx_hash", "block")}
    changes: tuple[dict[str, Any], ...] = (
        {"chain": contracts | swapped},
        {"chain": None},
        {"settlement_tx": None},
        {"settlement_tx": anchored},
        {"head": receipt["head"] | tx},
        {"head": receipt["head"] | {"tx_hash": None, "block": None}},
        {"credits": [one | {"tx": None} for one in receipt["credits"]]},
        {"credits": [one | {"tx": tx} for one in receipt["credits"]]},
        {"credits": []},
        {"bill": receipt["bill"] | {"currency": "É"}},
        {"bill": receipt["bill"] | {"currency": "\ud800"}},
        {"bill": receipt["bill"] | {"currency": "EU"}},
        {"settlement_tx": tx | {"invoice": None}},
        {"settlement_tx": tx | {"invoice": alone_under_a_root(receipt)}},
    )
    for change in changes:
        yield Case(json.dumps({**receipt, **change}))


def test_page_and_command_agree_check_by_check_on_good_and_tampered_receipts(
    page: Page, credited: dict[str, Any]
) -> None:
    invoiced = receipt_cases.credited_receipt(SettlementWay.INVOICES)
    assert invoiced["settlement_tx"]["invoice"]["size"] == 2
    cases = [
        *receipt_cases.field_cases(credited),
        *receipt_cases.leaf_cases(credited),
        *receipt_cases.text_cases(credited),
        *receipt_cases.signed_cases(),
        *receipt_cases.field_cases(Forge().receipt()),
        *receipt_cases.field_cases(invoiced),
    ]
    expected = [one.verdicts() for one in cases]
    assert expected[0] != "refused"
    assert sum(any("false" in check for check in one) for one in expected) > 20
    found = asked(page, cases)
    differing = [
        (case.text[:2_000], theirs, mine)
        for case, theirs, mine in zip(cases, expected, found, strict=True)
        if theirs != mine
    ]
    assert differing == []


def test_without_the_browsers_cryptography_the_page_comes_to_the_same(
    page: Page,
) -> None:
    cases = [Case(json.dumps(Forge().receipt())), *receipt_cases.signed_cases()]
    own = page.evaluate("isSecureContext && !!crypto.subtle")
    assert own is True
    page.evaluate(
        "void Object.defineProperty(crypto, 'subtle', {value: undefined,"
        " configurable: true})"
    )
    try:
        assert page.evaluate("crypto.subtle === undefined")
        assert asked(page, cases) == [one.verdicts() for one in cases]
    finally:
        page.evaluate("void delete crypto.subtle")


@pytest.mark.parametrize("way", SettlementWay)
def test_page_and_command_hear_the_same_from_a_node(
    page: Page, tmp_path: Path, way: SettlementWay
) -> None:
    site = receipt_cases.credited_site(tmp_path, way)
    cases = list(chain_cases(site.receipt("s-1")))
    with served_chain(site.chain) as node:
        expected = [one.verdicts(node.url) for one in cases]
        assert all(check[1] == "true" for check in expected[0] if check[2])
        found = asked(page, cases, node.url)
        assert list(zip(cases, found, strict=True)) == list(
            zip(cases, expected, strict=True)
        )
        for said in (500, b"{", error("busy"), result(None), result("0x"), None):
            node.answer = saying(said)
            here = [cases[0].verdicts(node.url)]
            assert asked(page, cases[:1], node.url) == here
            assert here[0][-1][1] == "unchecked"
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


def test_page_and_command_agree_on_settlements_that_were_sent_again(
    page: Page, tmp_path: Path
) -> None:
    site = receipt_cases.settled_twice_site(tmp_path, SettlementWay.BATCH)
    receipt, other = site.receipt("s-1"), site.receipt("s-0")
    other["settlement_tx"] = receipt["settlement_tx"]
    cases = [Case(json.dumps(one)) for one in (receipt, other)]
    with served_chain(site.chain) as node:
        expected = [one.verdicts(node.url) for one in cases]
        assert asked(page, cases, node.url) == expected
    told = [{check[0]: check[1] for check in one} for one in expected]
    assert [one["settlement-on-chain"] for one in told] == ["true", "false"]
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


@pytest.mark.parametrize("way", [SettlementWay.BATCH, SettlementWay.NETTED])
def test_page_and_command_agree_on_credits_that_were_sent_again(
    page: Page, tmp_path: Path, way: SettlementWay
) -> None:
    site = receipt_cases.repeated_site(tmp_path, way)
    receipt = site.receipt("s-1")
    swapped = copy.deepcopy(receipt)
    first, second = swapped["credits"]
    first["tx"], second["tx"] = second["tx"], first["tx"]
    cases = [Case(json.dumps(one)) for one in (receipt, swapped)]
    with served_chain(site.chain) as node:
        expected = [one.verdicts(node.url) for one in cases]
        assert asked(page, cases, node.url) == expected
    told = [{check[0]: check[1] for check in one} for one in expected]
    assert [one["credits-on-chain"] for one in told] == ["true", "false"]
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


def known_cases(receipt: dict[str, Any], site: Site) -> Iterator[Case]:
    """Heads of other times, and contracts, that agree with a receipt or do not."""
    text, store = json.dumps(receipt), SqliteStore(site.conn)
    size = receipt["head"]["size"]
    for kept in (0, 1, 5, 16, size, store.leaf_count()):
        root = log.head(store, kept).root.hex()
        old, new = sorted([kept, size])
        path = [one.hex() for one in log.consistency_proof(store, old, new)]
        proof = {"old_size": old, "new_size": new, "proof": path}
        for other, steps in (
            (root, path),
            (root[:-1] + ("0" if root[-1] != "0" else "1"), path),
            (root, path[1:]),
            (root, [*path, root]),
            (root, [*path[:-1], root]),
            (root, ["00" * 32, *path[1:]]),
        ):
            heads = {"heads": [], "proofs": [proof | {"proof": steps}]}
            file = json.dumps({"format": "wattproof-heads/1"} | heads)
            yield Case(text, heads=(file,), since=f"{kept}:{other}")
            both = heads | {"heads": [{"size": kept, "root": other}]}
            yield Case(
                text, heads=(json.dumps({"format": "wattproof-heads/1"} | both),)
            )
            yield Case(text, since=f"{kept}:{other}")
            yield Case(text, heads=(file,))
    for file in ("", "{}", '{"format": "wattproof-heads/1"}', "[]"):
        yield Case(text, heads=(file,))
    yield Case(text, since="7")
    good = contracts_of(site)
    yield Case(text, contracts=json.dumps(good))
    for at, value in leaves(good):
        yield Case(text, contracts=json.dumps(replaced(good, at, flipped(value, 3))))
    for name in ("StatusAnchor", "Settlement"):
        fewer = dict(good["contracts"])
        del fewer[name]
        yield Case(text, contracts=json.dumps(good | {"contracts": fewer}))


def contracts_of(site: Site) -> dict[str, Any]:
    """The file of contracts that an operator publishes."""
    identity = site.chain.identity()
    return PublishedContracts(
        chain_id=identity.chain_id,
        genesis_hash=identity.genesis_hash,
        release=RELEASE,
        contracts={
            name: PublishedContract(
                address=one.address,
                code_sha256=code_sha256(site.chain.code(one.address)),
            )
            for name, one in SqliteStore(site.conn).deployed(identity.key).items()
        },
    ).to_json()


def test_page_and_command_agree_on_what_a_reader_brings_along(
    page: Page, tmp_path: Path
) -> None:
    site = receipt_cases.credited_site(tmp_path, SettlementWay.BATCH)
    cases = list(known_cases(site.receipt("s-1"), site))
    with served_chain(site.chain) as node:
        expected = [one.verdicts(node.url) for one in cases]
        found = asked(page, cases, node.url)
    said = {
        (check[0], check[1])
        for one in expected
        if one != "refused"
        for check in one
        if check[0] in {"consistency", "contracts", "code"}
    }
    assert len(said) == 8, "each of them true, false and unchecked, but for code"
    assert list(zip(cases, found, strict=True)) == list(
        zip(cases, expected, strict=True)
    )
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


def test_page_and_command_agree_on_histories_of_cabinets(page: Page) -> None:
    cases = [Case(text) for text in cabinet_texts()]
    history = json.loads(cases[0].text)
    for root in (history["head"]["root"], "11" * 32):
        cases.append(Case(cases[0].text, since=f"{history['head']['size']}:{root}"))
    expected = [one.verdicts() for one in cases]
    assert [check[1] for check in expected[0]][:5] == ["true"] * 5
    false = {
        check[0]
        for one in expected
        if one != "refused"
        for check in one
        if check[1] == "false"
    }
    assert false == {*CABINET} - {"format"}
    found = asked(page, cases)
    assert list(zip(cases, found, strict=True)) == list(
        zip(cases, expected, strict=True)
    )


def bills() -> list[tuple[str, str, bool]]:
    """Bills of the gateway, as they are and with a number changed; whether right."""
    found: list[tuple[str, str, bool]] = []

    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
    )
    @given(
        st.tuples(plain.tariffs(), plain.registers())
        | st.tuples(full.tariffs(), full.registers()),
        st.randoms(use_true_random=False),
    )
    def draw(drawn: tuple[Tariff, list[RegisterPoint]], random: Any) -> None:
        tariff, points = drawn
        snapshot, bill = tariff.snapshot(), price(tariff, points).to_json()
        places = sorted(leaves(bill), key=repr)
        changed = [
            replaced(bill, at, flipped(value, 0))
            for at, value in random.sample(places, min(6, len(places)))
        ]
        for one in (bill, *changed):
            try:
                is_right = pricing.check_bill(one, snapshot) == ()
            except BundleError:
                is_right = False
            found.append((json.dumps(one), json.dumps(snapshot), is_right))

    draw()
    return found


def test_page_and_command_agree_on_bills_of_all_kinds_of_tariffs(page: Page) -> None:
    drawn = bills()
    expected = [is_right for _, _, is_right in drawn]
    assert len(drawn) > 150
    assert 30 < sum(expected) < len(drawn) - 100
    pairs = json.dumps([one[:2] for one in drawn])
    found = page.evaluate(f"{pairs}.map(([b, t]) => wattproof.price(b, t))")
    assert [
        (bill, why)
        for (bill, _, is_right), why in zip(drawn, found, strict=True)
        if (why == []) is not is_right
    ] == []


def test_the_page_comes_to_the_vectors_for_strangers(page: Page) -> None:
    vectors = json.loads(VECTORS.read_text("utf-8"))
    known = vectors["records"]
    assert {one["kind"] for one in known} == record.KINDS
    pairs = json.dumps([[one["record"], one["salt"]] for one in known])
    found = page.evaluate(
        f"{pairs}.map(([text, salt]) => wattproof.record(text, salt))"
    )
    assert found == [one["commitment"] for one in known]
    refused = [bytes.fromhex(one["record_hex"]) for one in vectors["refused"]]
    texts = json.dumps([one.decode("utf-8", "surrogateescape") for one in refused])
    found = page.evaluate(f"{texts}.map((text) => wattproof.record(text, ''))")
    assert found == [None] * len(refused)
    bills = json.dumps([[json.dumps(one[k]) for k in BILL] for one in vectors["bills"]])
    found = page.evaluate(f"{bills}.map(([b, t]) => wattproof.price(b, t))")
    assert [one == [] for one in found] == [one["holds"] for one in vectors["bills"]]


HEADS = {
    "en": ("Nothing is wrong", "Something is wrong"),
    "de": ("Nichts ist falsch", "Etwas ist falsch"),
    "fr": ("Rien n'est faux", "Quelque chose est faux"),
    "nl": ("Niets is fout", "Er is iets fout"),
}


@pytest.mark.parametrize("is_bent", [False, True])
def test_a_page_that_carries_a_receipt_says_at_once_what_is_found(
    page: Page, tmp_path: Path, credited: dict[str, Any], *, is_bent: bool
) -> None:
    bill = credited["bill"]
    bent = {**credited, "bill": {**bill, "amount_minor": bill["amount_minor"] + 1}}
    path = tmp_path / "kept.html"
    path.write_text(verify_page(bent if is_bent else credited), encoding="utf-8")
    page.requests.clear()
    page.open(f"{path.as_uri()}?lang=de")
    for language, heads in HEADS.items():
        page.evaluate(f"document.querySelector('button[lang={language}]').click()")
        said = page.wait_for(
            "document.querySelector('.verdict.open,.verdict.bad')"
            "?.querySelector('h2')?.textContent"
        )
        assert said == heads[is_bent]
        assert page.evaluate("document.documentElement.lang") == language
    names = page.evaluate(
        "[...document.querySelectorAll('.checks code')].map((e) => e.textContent)"
    )
    texts = page.evaluate(
        "[...document.querySelectorAll('.checks b')].map((e) => e.textContent)"
    )
    assert len(names) == len(set(texts)) == 21
    assert names[0] == ("bill" if is_bent else "format")
    for width, height in SCREENS:
        page.set_size(width, height)
        page.evaluate(
            "document.querySelectorAll('details').forEach((e) => { e.open = true; })"
        )
        assert page.evaluate(SIDEWAYS) <= 0
        assert page.evaluate(CUT_TEXTS) == []
        assert page.evaluate(UNREACHABLE) == []
        if width < 640:
            assert page.evaluate(SMALL_TARGETS) == []
        for is_dark in (False, True):
            page.set_dark(is_dark=is_dark)
            assert page.evaluate(LOW_CONTRAST) == []
        page.set_dark(is_dark=False)
    assert [
        url for url in page.requests if not url.startswith(("file:", "data:"))
    ] == []


def test_a_receipt_is_taken_from_a_file_and_what_it_says_is_no_markup(
    page: Page, tmp_path: Path, credited: dict[str, Any]
) -> None:
    path = tmp_path / "page.html"
    evil = "</script><img src=x onerror=window.hurt=1>"
    session = {**credited["session"], "station_id": evil}
    path.write_text(verify_page({**credited, "session": session}), encoding="utf-8")
    page.open(path.as_uri())
    page.wait_for("!!document.querySelector('.verdict.bad')")
    assert page.evaluate("document.images.length") == 0
    assert page.evaluate("window.hurt") is None
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(credited), encoding="utf-8")
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    found = page.call("DOM.querySelector", nodeId=root, selector="#file")
    page.call("DOM.setFileInputFiles", nodeId=found["nodeId"], files=[str(file)])
    page.wait_for(
        "!!document.querySelector('.verdict.open h2')?.textContent"
        " && document.querySelectorAll('.checks li').length === 21"
    )
    file = tmp_path / "other.json"
    file.write_text("no receipt", encoding="utf-8")
    page.call("DOM.setFileInputFiles", nodeId=found["nodeId"], files=[str(file)])
    page.wait_for(
        "!document.querySelector('.checks') && !!document.querySelector('.verdict.bad')"
    )


def choose(page: Page, *files: Path) -> None:
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    found = page.call("DOM.querySelector", nodeId=root, selector="#file")
    names = [str(one) for one in files]
    page.call("DOM.setFileInputFiles", nodeId=found["nodeId"], files=names)


def shown(page: Page, name: str) -> str:
    """The class of a check's row; empty while there is none."""
    found: str = page.evaluate(
        "[...document.querySelectorAll('.checks li')].find((row) =>"
        f" row.querySelector('code').textContent === {json.dumps(name)})?.className"
        " ?? ''"
    )
    return found


def test_files_of_heads_and_contracts_are_held_against_what_is_checked(
    page: Page, tmp_path: Path
) -> None:
    site = receipt_cases.credited_site(tmp_path, SettlementWay.BATCH)
    receipt, contracts = site.receipt("s-1"), contracts_of(site)
    history = cabinet_history()
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded
    head = {name: receipt["head"][name] for name in ("size", "root")}
    kept = {"format": "wattproof-heads/1", "heads": [head]}
    other = {"format": "wattproof-heads/1", "heads": [head | {"root": "11" * 32}]}
    bent = json.loads(json.dumps(history))
    bent["steps"][0]["members"][0]["salt"] = "11" * 32
    files = {}
    for name, document in {
        "receipt": receipt,
        "heads": kept,
        "others-heads-with-a-long-name-of-a-friend": other,
        "contracts": contracts,
        "history": history,
        "bent": bent,
    }.items():
        files[name] = tmp_path / f"{name}.json"
        files[name].write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "page.html").write_text(verify_page(), encoding="utf-8")
    page.open((tmp_path / "page.html").as_uri() + "?lang=en")
    choose(page, files["heads"], files["receipt"], files["contracts"])
    page.wait_for("document.querySelectorAll('.checks li').length === 21")
    assert [shown(page, name) for name in ("consistency", "contracts")] == ["good"] * 2
    choose(page, files["others-heads-with-a-long-name-of-a-friend"])
    page.wait_for("!!document.querySelector('.verdict.bad')")
    assert shown(page, "consistency") == "bad"
    for width, height in SCREENS:
        page.set_size(width, height)
        for language in HEADS:
            page.evaluate(f"document.querySelector('button[lang={language}]').click()")
            assert page.evaluate(SIDEWAYS) <= 0
            assert page.evaluate(CUT_TEXTS) == []
            if width < 640:
                assert page.evaluate(SMALL_TARGETS) == []
            assert page.evaluate(LOW_CONTRAST) == []
    page.evaluate("document.querySelector('#brought button:last-of-type').click()")
    page.wait_for("!!document.querySelector('.verdict.open')")
    assert page.evaluate("document.querySelectorAll('#brought button').length") == 2
    # A cabinet's history, held against the same heads: another log's.
    choose(page, files["history"])
    page.wait_for("document.querySelectorAll('.checks li').length === 6")
    assert shown(page, "sub-trees") == "good"
    choose(page, files["bent"])
    page.wait_for("!!document.querySelector('.verdict.bad')")
    assert (shown(page, "commitment"), shown(page, "sub-trees")) == ("bad", "good")
    titles = set()
    for language in HEADS:
        page.evaluate(f"document.querySelector('button[lang={language}]').click()")
        titles |= set(
            page.evaluate(
                "[...document.querySelectorAll('.checks b, .verdict p')]"
                ".map((one) => one.textContent)"
            )
        )
    assert len(titles) == 7 * len(HEADS), "six checks and one sentence, translated"
