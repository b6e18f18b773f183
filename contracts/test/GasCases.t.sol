// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DriverConsent} from "../src/DriverConsent.sol";
import {Escrow} from "../src/Escrow.sol";
import {FlexToken} from "../src/FlexToken.sol";
import {Settlement} from "../src/Settlement.sol";
import {SettlementWindows} from "../src/SettlementWindows.sol";
import {StatusAnchor} from "../src/StatusAnchor.sol";
import {Coin} from "./Coins.sol";
import {Tree} from "./Tree.sol";
import {TestBase} from "./Vm.sol";

/// @dev Prices what depends on how a log and its windows really look, and the calls of drivers and holders.
/// Run like `GasTest`.
contract CasesGasTest is TestBase {
    string private constant _GROUP = "gas";
    /// @dev A day of 1 000 leaves every quarter of an hour.
    uint64 private constant _DAY = 96_000;

    FlexToken private _token;
    Settlement private _settlement;
    StatusAnchor private _anchor;

    function setUp() public {
        _token = new FlexToken(address(this));
        _anchor = new StatusAnchor(address(this));
        _settlement = new Settlement(address(this), address(_token), address(_anchor));
        _token.bindMinter(address(_settlement));
        _token.grantRole(_token.TRANSFER_ENABLER_ROLE(), address(this));
        _settlement.grantRole(_settlement.SETTLER_ROLE(), address(this));
        _anchor.grantRole(_anchor.ANCHORER_ROLE(), address(this));
    }

    /// @dev The most proof that a log of this age can need: 14 complete trees on its right edge.
    function test_AnchorWithTheLongestProof() public {
        bytes32[] memory leaves = Tree.leaves(9, 17_383);
        _anchor.anchor(16_383, Tree.root(leaves, 16_383), new bytes32[](0), "");
        bytes32 root = Tree.root(leaves, 17_383);
        bytes32[] memory proof = Tree.consistency(leaves, 16_383, 17_383);
        _anchor.anchor(17_383, root, proof, "");
        vm.assertTrue(
            vm.snapshotGasLastCall(_GROUP, "anchor 16 383 to 17 383 leaves") <= 65_000, "longest proof, 1 000 leaves"
        );
    }

    /// @dev Each of the 70 080 steps of a log's first two years, 1 000 leaves every quarter of an hour. Those with the
    /// most hashes to compute are anchored, and the dearest of them is limited: hashes are what a step costs, in
    /// proof as in gas, and four hashes are more than the loops can differ. The nodes are invented and the roots
    /// computed from them: the contract cannot tell, and a tree of 70 million leaves does not fit into a test.
    function test_AnchorEveryStepOfTwoYears() public {
        uint256 most = 0;
        for (uint64 size = 1000; size < 2 * 365 * _DAY; size += 1000) {
            uint256 hashes = Tree.consistencyHashes(size, size + 1000);
            if (hashes > most) most = hashes;
        }
        uint256 dearest = 0;
        for (uint64 size = 1000; size < 2 * 365 * _DAY; size += 1000) {
            if (Tree.consistencyHashes(size, size + 1000) + 4 < most) continue;
            uint256 spent = _anchorInvented(size);
            if (spent > dearest) dearest = spent;
        }
        vm.snapshotValue(_GROUP, "anchor 1 000 leaves more, dearest step of two years", dearest);
        vm.assertTrue(dearest <= 65_000, "dearest step of two years, 1 000 leaves");
    }

    /// @dev A log that does not grow by whole thousands: 100 sizes of its first two years, drawn by a hash, and the
    /// one worst size of all, with 26 complete trees on the right edge.
    function test_AnchorAtAnySizeOfTwoYears() public {
        uint256 total = 0;
        uint256 dearest = 0;
        for (uint256 i = 0; i < 100; ++i) {
            uint256 spent = _anchorInvented(1 + uint64(uint256(keccak256(abi.encode(i))) % (2 * 365 * _DAY)));
            if (spent > dearest) dearest = spent;
            total += spent;
        }
        vm.snapshotValue(_GROUP, "anchor 1 000 leaves more, mean of two years", total / 100);
        vm.snapshotValue(_GROUP, "anchor 1 000 leaves more, dearest of 100 sizes", dearest);
        vm.assertTrue(total / 100 <= 60_000, "mean of two years, 1 000 leaves");
        vm.assertTrue(dearest <= 65_000, "dearest of 100 sizes, 1 000 leaves");
        uint256 worst = _anchorInvented(2 ** 26 - 1);
        vm.snapshotValue(_GROUP, "anchor 67 108 863 to 67 109 863 leaves", worst);
        vm.assertTrue(worst <= 70_000, "worst size of two years");
    }

    /// @dev Two days of 100 users with three sessions for every two of them, scattered over the day by a hash. Ten
    /// run at the end of the first day and are left open; the second day settles them.
    function test_ADayOfSessionsScatteredOverTheLog() public {
        _anchor.anchor(3 * _DAY, "root", new bytes32[](0), "");
        uint64[] memory leaves = _scattered(0, 160);
        SettlementWindows.NettedRow[] memory rows = _users();
        _settlement.settleNetted(
            SettlementWindows.NettedWindow(0, _DAY, _slice(leaves, 0, 150), _slice(leaves, 150, 160), "EUR"), rows
        );
        uint256 spent = vm.snapshotGasLastCall(_GROUP, "settle netted, 100 users, 150 sessions, 10 left open");
        vm.assertTrue(spent <= 100 * 18_000, "netted, first day");
        uint64[] memory listed = new uint64[](160);
        uint64[] memory next = _scattered(_DAY, 160);
        for (uint256 i = 0; i < 160; ++i) {
            listed[i] = i < 10 ? leaves[150 + i] : next[i - 10];
        }
        _settlement.settleNetted(
            SettlementWindows.NettedWindow(_DAY, 2 * _DAY, listed, _slice(next, 150, 160), "EUR"), rows
        );
        spent = vm.snapshotGasLastCall(_GROUP, "settle netted, 100 users, 160 sessions, 10 of the day before");
        vm.assertTrue(spent <= 100 * 18_000, "netted, second day");
        _settlement.recordInvoices(2 * _DAY, 3 * _DAY, "root", 160, _slice(next, 150, 160), _scattered(2 * _DAY, 10));
        vm.snapshotGasLastCall(_GROUP, "record invoices as one root, 10 of the day before, 10 left open");
    }

    function test_CreditsOfANettedRow() public {
        _anchor.anchor(_DAY, "root", new bytes32[](0), "");
        SettlementWindows.NettedRow[] memory rows = _users();
        rows[99].flexMilliWh = 2_000_000;
        SettlementWindows.NettedWindow memory window =
            SettlementWindows.NettedWindow(0, _DAY, _scattered(0, 100), new uint64[](0), "EUR");
        _settlement.settleNetted(window, rows);
        SettlementWindows.NettedCreditRow memory credit =
            SettlementWindows.NettedCreditRow(0, rows[99].user, "credit", "leaf", 5, 1_000_000);
        _settlement.recordNettedCredit(window, rows, credit);
        vm.snapshotGasLastCall(_GROUP, "record a credit of a netted row, 100 users");
    }

    function test_Holders() public {
        vm.prank(address(_settlement));
        _token.mint(ADMIN, 1_000);
        vm.prank(ADMIN);
        _token.burn(100);
        vm.snapshotGasLastCall(_GROUP, "flex: redeem");
        _token.setTransfersEnabled(true);
        vm.prank(ADMIN);
        _token.transfer(STRANGER, 100);
        vm.snapshotGasLastCall(_GROUP, "flex: transfer, first");
    }

    function test_Handover() public {
        StatusAnchor next = new StatusAnchor(address(this));
        _settlement.announceHandover(address(next));
        vm.snapshotGasLastCall(_GROUP, "announce another anchor");
        vm.warp(block.timestamp + 7 days);
        _settlement.completeHandover();
        vm.snapshotGasLastCall(_GROUP, "complete the handover");
    }

    function test_Drivers() public {
        address driver = vm.addr(1);
        Coin coin = new Coin();
        Escrow escrow = new Escrow(address(this), address(coin), address(_settlement), "EUR", 10_000);
        coin.give(driver, 1e12);
        vm.prank(driver);
        coin.approve(address(escrow), 1e12);
        vm.prank(driver);
        escrow.deposit(driver, 1e9);
        vm.prank(driver);
        escrow.deposit(driver, 1e9);
        vm.snapshotGasLastCall(_GROUP, "escrow: deposit");
        DriverConsent.SessionLock memory terms =
            DriverConsent.SessionLock("session", driver, ADMIN, 2e7, uint64(block.timestamp + 1 days));
        vm.prank(driver);
        escrow.lock(terms, "");
        vm.snapshotGasLastCall(_GROUP, "escrow: lock by the driver");
        vm.prank(ADMIN);
        escrow.release("session", driver, ADMIN);
        vm.snapshotGasLastCall(_GROUP, "escrow: release");
    }

    function _anchorInvented(uint64 size) private returns (uint256) {
        StatusAnchor anchor = new StatusAnchor(address(this));
        anchor.grantRole(anchor.ANCHORER_ROLE(), address(this));
        (bytes32[] memory proof, bytes32 oldRoot, bytes32 newRoot) = Tree.invent(size, size + 1000);
        anchor.anchor(size, oldRoot, new bytes32[](0), "");
        anchor.anchor(size + 1000, newRoot, proof, "");
        return vm.lastCallGas().gasTotalUsed;
    }

    function _users() private pure returns (SettlementWindows.NettedRow[] memory rows) {
        rows = new SettlementWindows.NettedRow[](100);
        for (uint160 i = 0; i < 100; ++i) {
            address user = address((uint160(0xD7) << 152) + (i << 144) + uint144(uint256(keccak256(abi.encode(i)))));
            rows[i] = SettlementWindows.NettedRow(user, 22_000_000, 990, 0, keccak256(abi.encode("sessions", i)));
        }
    }

    /// @dev Rising leaves of a day: one in each equal part of it, where in the part by a hash.
    function _scattered(uint64 from, uint64 count) private pure returns (uint64[] memory leaves) {
        leaves = new uint64[](count);
        for (uint64 i = 0; i < count; ++i) {
            leaves[i] = from + i * (_DAY / count) + uint64(uint256(keccak256(abi.encode(from, i)))) % (_DAY / count);
        }
    }

    function _slice(uint64[] memory list, uint256 from, uint256 to) private pure returns (uint64[] memory part) {
        part = new uint64[](to - from);
        for (uint256 i = from; i < to; ++i) {
            part[i - from] = list[i];
        }
    }
}
