// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FlexToken} from "../src/FlexToken.sol";
import {LeafBook} from "../src/LeafBook.sol";
import {Settlement} from "../src/Settlement.sol";
import {SettlementWindows} from "../src/SettlementWindows.sol";
import {StatusAnchor} from "../src/StatusAnchor.sol";
import {Tree} from "./Tree.sol";
import {TestBase, Vm} from "./Vm.sol";

/// @dev Settlement with proofs and in windows of a log of 64 anchored leaves.
contract SettlementWindowsTest is TestBase {
    address private constant _SETTLER = address(0xA6);
    address private constant _ANN = address(0xD1);
    address private constant _BOB = address(0xD2);
    uint64 private constant _SIZE = 64;

    FlexToken private _token;
    StatusAnchor private _anchor;
    Settlement private _settlement;
    bytes32[] private _leaves;

    function setUp() public {
        _token = new FlexToken(ADMIN);
        _anchor = new StatusAnchor(ADMIN);
        _settlement = new Settlement(ADMIN, address(_token), address(_anchor));
        vm.startPrank(ADMIN);
        _token.bindMinter(address(_settlement));
        _settlement.grantRole(_settlement.SETTLER_ROLE(), _SETTLER);
        _settlement.grantRole(_settlement.PAUSER_ROLE(), PAUSER);
        _anchor.grantRole(_anchor.ANCHORER_ROLE(), ADMIN);
        _leaves = Tree.leaves(3, _SIZE);
        _anchor.anchor(_SIZE, Tree.root(_leaves, _SIZE), new bytes32[](0), "");
        vm.stopPrank();
    }

    function testFuzz_AProvenSessionSettles(uint8 start, uint8 index) public {
        uint64 leafIndex = 1 + uint64(index) % (_SIZE - 1);
        uint64 startLeaf = start % leafIndex;
        Settlement.SettlementRow memory row = _row("proven", startLeaf, _leaves[leafIndex]);
        _prove(row, leafIndex, Tree.inclusion(_leaves, leafIndex, _SIZE));
        vm.assertEq(_settlement.settledContent("proven"), keccak256(abi.encode(row)));
        vm.assertTrue(_settlement.isStartLeafSettled(startLeaf));
    }

    function test_ASessionWhoseLeafIsNotInTheLogIsRefused() public {
        bytes32[] memory proof = Tree.inclusion(_leaves, 9, _SIZE);
        _refuseProof(_row("k", 3, keccak256("invented")), 9, proof);
        _refuseProof(_row("k", 3, _leaves[9]), 10, proof);
        proof[2] ^= bytes32(uint256(1));
        _refuseProof(_row("k", 3, _leaves[9]), 9, proof);
        _refuseProof(_row("k", 3, _leaves[9]), 9, new bytes32[](0));
        vm.assertEq(_settlement.settledCount(), 0);
        vm.assertFalse(_settlement.isStartLeafSettled(3));
    }

    function test_ASettlementStandsAfterItsStart() public {
        bytes32[] memory proof = Tree.inclusion(_leaves, 9, _SIZE);
        _refuseProof(_row("k", 9, _leaves[9]), 9, proof);
        _refuseProof(_row("k", 10, _leaves[9]), 9, proof);
        _prove(_row("k", 8, _leaves[9]), 9, proof);
    }

    function test_AProvenSessionAgainIsSkippedAlsoWhenTheLogHasGrown() public {
        Settlement.SettlementRow memory row = _row("k", 3, _leaves[9]);
        _prove(row, 9, Tree.inclusion(_leaves, 9, _SIZE));
        vm.expectEmit(address(_settlement));
        emit Settlement.SettlementRepeated("k", 3);
        _prove(row, 9, new bytes32[](0));
        Settlement.SettlementRow[] memory rows = new Settlement.SettlementRow[](1);
        rows[0] = row;
        vm.prank(_SETTLER);
        _settlement.settleBatch(rows);
        vm.assertEq(_settlement.settledCount(), 1);
    }

    function test_TheSessionKeyIsThatOfTheLog() public view {
        bytes32 salt = keccak256("salt");
        bytes32 expected = sha256(abi.encodePacked("wattproof/session/1", uint8(0), salt, uint64(258)));
        vm.assertEq(_settlement.sessionKeyOf(salt, 258), expected);
    }

    function test_AWindowSettlesOneRowAUser() public {
        vm.expectEmit(address(_settlement));
        emit SettlementWindows.UserNetted(_ANN, 0, 5_000_000, 200, 1_999, "ann");
        vm.expectEmit(address(_settlement));
        emit SettlementWindows.UserNetted(_BOB, 0, 7_000_000, 300, 0, "bob");
        vm.expectEmit(address(_settlement));
        emit SettlementWindows.WindowNetted(0, 20, "EUR", 3, 2);
        _net(_window(0, 20, _list(2, 5, 11), _list()));
        vm.assertEq(_settlement.closedBefore(), 20);
        vm.assertEq(_token.balanceOf(_ANN), 1);
        vm.assertTrue(_settlement.isStartLeafClosed(19));
        vm.assertFalse(_settlement.isStartLeafClosed(20));
    }

    function test_TheSameWindowAgainIsSkippedAndAnotherIsRefused() public {
        SettlementWindows.NettedWindow memory window = _window(0, 20, _list(2), _list());
        _net(window);
        vm.recordLogs();
        _net(window);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 1);
        vm.assertEq(logs[0].topics[0], SettlementWindows.WindowRepeated.selector);
        vm.assertEq(_token.totalSupply(), 1);
        window.listed = _list(3);
        _refuseWindow(window, abi.encodeWithSelector(LeafBook.WindowNotNext.selector, 20, 0, 20));
        _refuseWindow(
            _window(19, 30, _list(), _list()), abi.encodeWithSelector(LeafBook.WindowNotNext.selector, 20, 19, 30)
        );
        _refuseWindow(
            _window(21, 30, _list(), _list()), abi.encodeWithSelector(LeafBook.WindowNotNext.selector, 20, 21, 30)
        );
        _refuseWindow(
            _window(20, 20, _list(), _list()), abi.encodeWithSelector(LeafBook.WindowNotNext.selector, 20, 20, 20)
        );
    }

    function test_ASessionSettledAloneIsNotNetted() public {
        _settle(_row("k", 5, "leaf"));
        _refuseWindow(
            _window(0, 20, _list(2, 5, 11), _list()), abi.encodeWithSelector(LeafBook.WindowLeafSettled.selector, 5)
        );
        _net(_window(0, 20, _list(2, 11), _list()));
    }

    function test_ANettedSessionIsNotSettledAlone() public {
        _net(_window(0, 20, _list(5), _list()));
        _refuseSettle(_row("k", 5, "leaf"));
        _refuseSettle(_row("k", 6, "leaf"));
        _settle(_row("k", 20, "leaf"));
    }

    function test_ALeafLeftOpenIsSettledAloneOrInALaterWindow() public {
        _net(_window(0, 20, _list(5), _list(6, 7, 8)));
        _settle(_row("alone", 6, "leaf"));
        _net(_window(20, 30, _list(7, 22), _list()));
        _refuseSettle(_row("late", 7, "leaf"));
        _refuseWindow(
            _window(30, 40, _list(7), _list()), abi.encodeWithSelector(LeafBook.WindowLeafSettled.selector, 7)
        );
        _refuseWindow(
            _window(30, 40, _list(6), _list()), abi.encodeWithSelector(LeafBook.WindowLeafSettled.selector, 6)
        );
        _refuseWindow(
            _window(30, 40, _list(9), _list()), abi.encodeWithSelector(LeafBook.WindowLeafSettled.selector, 9)
        );
        _net(_window(30, 40, _list(8), _list()));
    }

    function test_TheListsOfAWindowRiseAndKeepToItAndApart() public {
        bytes4 misplaced = LeafBook.WindowLeafMisplaced.selector;
        _refuseWindow(_window(0, 20, _list(5, 5), _list()), abi.encodeWithSelector(misplaced, 5));
        _refuseWindow(_window(0, 20, _list(5, 4), _list()), abi.encodeWithSelector(misplaced, 4));
        _refuseWindow(_window(0, 20, _list(20), _list()), abi.encodeWithSelector(misplaced, 20));
        _refuseWindow(_window(0, 20, _list(), _list(3, 3)), abi.encodeWithSelector(misplaced, 3));
        _refuseWindow(_window(0, 20, _list(), _list(20)), abi.encodeWithSelector(misplaced, 20));
        _refuseWindow(_window(0, 20, _list(2, 5, 11), _list(1, 11)), abi.encodeWithSelector(misplaced, 11));
        _net(_window(0, 20, _list(), _list()));
        _refuseWindow(_window(20, 30, _list(), _list(3)), abi.encodeWithSelector(misplaced, 3));
    }

    function test_AWindowEndsWithTheAnchoredLog() public {
        _refuseWindow(
            _window(0, _SIZE + 1, _list(), _list()),
            abi.encodeWithSelector(SettlementWindows.SettlementWindowBeyondHead.selector, _SIZE, _SIZE + 1)
        );
        _net(_window(0, _SIZE, _list(), _list()));
    }

    function test_AUserHasOneRowAndAWindowACurrency() public {
        bytes memory misshapen = abi.encodeWithSelector(SettlementWindows.SettlementWindowMisshapen.selector, 0);
        SettlementWindows.NettedRow[] memory rows = _rows();
        rows[1].user = _ANN;
        vm.expectRevert(misshapen);
        vm.prank(_SETTLER);
        _settlement.settleNetted(_window(0, 20, _list(5), _list()), rows);
        rows[0].user = address(0);
        vm.expectRevert(misshapen);
        vm.prank(_SETTLER);
        _settlement.settleNetted(_window(0, 20, _list(5), _list()), rows);
        SettlementWindows.NettedWindow memory window = _window(0, 20, _list(5), _list());
        window.currency = bytes3(0);
        _refuseWindow(window, misshapen);
    }

    function test_InvoicesAreOneRootAndCloseTheirWindow() public {
        vm.expectEmit(address(_settlement));
        emit SettlementWindows.InvoicesRecorded(0, 20, "root", 4);
        _invoice(0, 20, "root", _list(7));
        vm.expectEmit(address(_settlement));
        emit SettlementWindows.WindowRepeated(0);
        _invoice(0, 20, "root", _list(7));
        _refuseSettle(_row("k", 5, "leaf"));
        _settle(_row("k", 7, "leaf"));
        vm.expectRevert(abi.encodeWithSelector(LeafBook.WindowNotNext.selector, 20, 0, 20));
        _invoice(0, 20, "other", _list(7));
        vm.expectRevert(abi.encodeWithSelector(SettlementWindows.SettlementWindowMisshapen.selector, 20));
        _invoice(20, 30, bytes32(0), _list());
        vm.expectRevert(abi.encodeWithSelector(LeafBook.WindowNotNext.selector, 20, 0, 20));
        _net(_window(0, 20, _list(5), _list()));
        _net(_window(20, 30, _list(25), _list()));
    }

    function test_InvoicesCloseWhatEarlierWindowsLeftOpen() public {
        _invoice(0, 20, "root", _list(7, 8));
        _settle(_row("alone", 8, "leaf"));
        vm.expectEmit(address(_settlement));
        emit SettlementWindows.InvoicesRecorded(20, 30, "later", 2);
        _invoiceListed(20, 30, 2, _list(7, 25));
        vm.expectEmit(address(_settlement));
        emit SettlementWindows.WindowRepeated(20);
        _invoiceListed(20, 30, 2, _list(7, 25));
        _refuseSettle(_row("k", 7, "leaf"));
        vm.expectRevert(abi.encodeWithSelector(LeafBook.WindowLeafSettled.selector, 7));
        _invoiceListed(30, 40, 2, _list(7));
        vm.expectRevert(abi.encodeWithSelector(LeafBook.WindowLeafSettled.selector, 8));
        _invoiceListed(30, 40, 2, _list(8));
        vm.expectRevert(abi.encodeWithSelector(SettlementWindows.SettlementWindowMisshapen.selector, 30));
        _invoiceListed(30, 40, 1, _list(31, 32));
    }

    function test_AStrangerSettlesNothing() public {
        bytes32 role = _settlement.SETTLER_ROLE();
        expectMissingRole(STRANGER, role);
        vm.prank(STRANGER);
        _settlement.settleProven(_row("k", 3, _leaves[9]), 9, new bytes32[](0));
        expectMissingRole(STRANGER, role);
        vm.prank(STRANGER);
        _settlement.settleNetted(_window(0, 20, _list(), _list()), _rows());
        expectMissingRole(STRANGER, role);
        vm.prank(STRANGER);
        _settlement.recordInvoices(0, 20, "root", 1, _list(), _list());
    }

    function test_PauseStopsEveryWayToSettle() public {
        vm.prank(PAUSER);
        _settlement.pause();
        expectPaused();
        _prove(_row("k", 3, _leaves[9]), 9, new bytes32[](0));
        expectPaused();
        _net(_window(0, 20, _list(), _list()));
        expectPaused();
        _invoice(0, 20, "root", _list());
    }

    function _row(bytes32 sessionKey, uint64 startLeaf, bytes32 leafHash)
        private
        pure
        returns (Settlement.SettlementRow memory)
    {
        return Settlement.SettlementRow(sessionKey, startLeaf, leafHash, 5_000_000, 200, "EUR", 0, address(0));
    }

    function _rows() private pure returns (SettlementWindows.NettedRow[] memory rows) {
        rows = new SettlementWindows.NettedRow[](2);
        rows[0] = SettlementWindows.NettedRow(_ANN, 5_000_000, 200, 1_999, "ann");
        rows[1] = SettlementWindows.NettedRow(_BOB, 7_000_000, 300, 0, "bob");
    }

    function _window(uint64 from, uint64 to, uint64[] memory listed, uint64[] memory open)
        private
        pure
        returns (SettlementWindows.NettedWindow memory)
    {
        return SettlementWindows.NettedWindow(from, to, listed, open, "EUR");
    }

    function _list() private pure returns (uint64[] memory) {
        return new uint64[](0);
    }

    function _list(uint64 a) private pure returns (uint64[] memory list) {
        list = new uint64[](1);
        list[0] = a;
    }

    function _list(uint64 a, uint64 b) private pure returns (uint64[] memory list) {
        list = new uint64[](2);
        (list[0], list[1]) = (a, b);
    }

    function _list(uint64 a, uint64 b, uint64 c) private pure returns (uint64[] memory list) {
        list = new uint64[](3);
        (list[0], list[1], list[2]) = (a, b, c);
    }

    function _settle(Settlement.SettlementRow memory row) private {
        Settlement.SettlementRow[] memory rows = new Settlement.SettlementRow[](1);
        rows[0] = row;
        vm.prank(_SETTLER);
        _settlement.settleBatch(rows);
    }

    function _prove(Settlement.SettlementRow memory row, uint64 leafIndex, bytes32[] memory proof) private {
        vm.prank(_SETTLER);
        _settlement.settleProven(row, leafIndex, proof);
    }

    function _net(SettlementWindows.NettedWindow memory window) private {
        vm.prank(_SETTLER);
        _settlement.settleNetted(window, _rows());
    }

    function _invoice(uint64 from, uint64 to, bytes32 root, uint64[] memory open) private {
        vm.prank(_SETTLER);
        _settlement.recordInvoices(from, to, root, 4, _list(), open);
    }

    function _invoiceListed(uint64 from, uint64 to, uint64 count, uint64[] memory listed) private {
        vm.prank(_SETTLER);
        _settlement.recordInvoices(from, to, "later", count, listed, _list());
    }

    function _refuseSettle(Settlement.SettlementRow memory row) private {
        vm.expectRevert(
            abi.encodeWithSelector(Settlement.SettlementLeafClosed.selector, row.sessionKey, row.startLeafIndex)
        );
        _settle(row);
    }

    function _refuseProof(Settlement.SettlementRow memory row, uint64 leafIndex, bytes32[] memory proof) private {
        vm.expectRevert(abi.encodeWithSelector(Settlement.SettlementNotIncluded.selector, row.sessionKey, leafIndex));
        _prove(row, leafIndex, proof);
    }

    function _refuseWindow(SettlementWindows.NettedWindow memory window, bytes memory reason) private {
        vm.expectRevert(reason);
        _net(window);
    }
}
