"""A witness asks the chain whether the log it follows is the one that was anchored."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.disclosed import Alarm
from ledger.log_source import FolderSource
from ledger.witness_chain import ChainCheck, open_chain
from tests.support.ledger_site import Site, make_site
from tests.support.public_log import Follower, PublicLog, public_log, words

Look = Callable[..., list[str]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = make_site(tmp_path_factory.mktemp("site"))
    made.add_noise(20)
    assert made.worker.step(made.clock.at).backlog == 0
    return made


@pytest.fixture
def looks(site: Site, tmp_path: Path) -> Look:
    contracts = site.worker.bundle_chain
    assert contracts is not None

    def look(
        log: PublicLog,
        anchor: str | None = None,
        *,
        path: Path | None = None,
        after_s: float = 0.0,
    ) -> list[str]:
        log.kinds = frozenset()
        log.chain = {"anchor_contract": contracts.anchor_contract}
        log.publish()
        follower = Follower(
            log=log,
            state=tmp_path / "state.json",
            check_chain=ChainCheck(
                source=FolderSource(log.folder),
                chain=open_chain(None, path or site.folder / "chain.db"),
                anchor=anchor,
            ),
        )
        found = follower.look(after_s=after_s)
        assert (found.cosigned is None) == bool(found.objections)
        return words(found)

    return look


def test_the_anchored_log_is_good_also_when_it_is_longer(
    site: Site, looks: Look, tmp_path: Path
) -> None:
    log = PublicLog(folder=tmp_path / "export", conn=site.conn, at=site.clock.at)
    assert looks(log) == []
    log.read(3)
    assert looks(log) == []


def test_a_log_that_the_chain_does_not_know_is_a_fork(
    looks: Look, tmp_path: Path
) -> None:
    log = public_log(tmp_path / "other")
    log.read(40)
    assert looks(log) == [Alarm.CHAIN_FORK.value]


def test_a_log_that_hides_what_was_anchored_is_behind(
    looks: Look, tmp_path: Path
) -> None:
    log = public_log(tmp_path / "short")
    log.read(5)
    assert looks(log) == [], "it may be on its way"
    log.read(5)
    assert looks(log, after_s=1000) == []
    assert looks(log, after_s=4000) == [Alarm.BEHIND_CHAIN.value]
    log.read(20)
    assert looks(log, after_s=5000) == [Alarm.CHAIN_FORK.value], "another log, longer"


def test_another_contract_or_no_chain_is_said(
    site: Site, looks: Look, tmp_path: Path
) -> None:
    log = PublicLog(folder=tmp_path / "export", conn=site.conn, at=site.clock.at)
    contracts = site.worker.bundle_chain
    assert contracts is not None
    elsewhere = contracts.settlement_contract
    assert looks(log, elsewhere) == [Alarm.CHAIN_FORK.value]
    missing = looks(log, path=tmp_path / "none.db")
    assert missing == [Alarm.CHAIN_UNAVAILABLE.value]
