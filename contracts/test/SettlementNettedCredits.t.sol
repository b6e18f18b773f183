// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FlexToken} from "../src/FlexToken.sol";
import {Settlement} from "../src/Settlement.sol";
import {SettlementWindows} from "../src/SettlementWindows.sol";
import {StatusAnchor} from "../src/StatusAnchor.sol";
import {TestBase, Vm} from "./Vm.sol";

/// @dev Credits for users of a netted window: Ann was settled with 200 minor units and 4 Wh, Bob with 300 and none.
contract SettlementNettedCreditsTest is TestBase {
    address private constant _SETTLER = address(0xA6);
    address private constant _ANN = address(0xD1);
    address private constant _BOB = address(0xD2);

    FlexToken private _token;
    Settlement private _settlement;

    function setUp() public {
        _token = new FlexToken(ADMIN);
        StatusAnchor anchor = new StatusAnchor(ADMIN);
        _settlement = new Settlement(ADMIN, address(_token), address(anchor));
        vm.startPrank(ADMIN);
        _token.bindMinter(address(_settlement));
        _settlement.grantRole(_settlement.SETTLER_ROLE(), _SETTLER);
        _settlement.grantRole(_settlement.PAUSER_ROLE(), PAUSER);
        anchor.grantRole(anchor.ANCHORER_ROLE(), ADMIN);
        anchor.anchor(64, "root", new bytes32[](0), "");
        vm.stopPrank();
        vm.prank(_SETTLER);
        _settlement.settleNetted(_window(), _rows());
    }

    function test_ANettedCreditTakesBackUpToWhatTheRowBrought() public {
        vm.expectEmit(address(_settlement));
        emit SettlementWindows.NettedCreditRecorded(_ANN, 0, "1", "leaf", 150, 2_999);
        _credit(_ANN, "1", 150, 2_999);
        vm.assertEq(_token.balanceOf(_ANN), 2);
        (uint64 creditedMinor, uint64 takenBackWh) = _settlement.nettedCredits(0, _ANN);
        vm.assertEq(creditedMinor, 150);
        vm.assertEq(takenBackWh, 2);
        _refuse(_ANN, "2", 51, 0, _tooLarge(_ANN, 50, 2));
        _refuse(_ANN, "2", 0, 3_000, _tooLarge(_ANN, 50, 2));
        _credit(_ANN, "2", 50, 2_000);
        vm.assertEq(_token.balanceOf(_ANN), 0);
        _refuse(_ANN, "3", 0, 1_000, _tooLarge(_ANN, 0, 0));
    }

    function test_WhatTheUserRedeemedBecomesADebt() public {
        vm.prank(_ANN);
        _token.burn(3);
        _credit(_ANN, "1", 0, 4_000);
        vm.assertEq(_token.balanceOf(_ANN), 0);
        vm.assertEq(_token.debtOf(_ANN), 3);
    }

    function test_UsersDoNotShareWhatCanBeCredited() public {
        _credit(_ANN, "1", 200, 4_000);
        _credit(_BOB, "2", 300, 0);
        _refuse(_BOB, "3", 0, 1_000, _tooLarge(_BOB, 0, 0));
    }

    function test_TheSameNettedCreditAgainIsSkipped() public {
        _credit(_ANN, "1", 10, 1_000);
        vm.recordLogs();
        _credit(_ANN, "1", 10, 1_000);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 1);
        vm.assertEq(logs[0].topics[0], SettlementWindows.NettedCreditRepeated.selector);
        vm.assertEq(_token.balanceOf(_ANN), 3);
        _refuse(_ANN, "1", 11, 1_000, _conflict("1"));
        _refuse(_ANN, "1", 10, 2_000, _conflict("1"));
        _refuse(_BOB, "1", 10, 1_000, _conflict("1"));
    }

    function test_ACreditKeyServesSessionsOrWindowsAndNotBoth() public {
        Settlement.SettlementRow[] memory rows = new Settlement.SettlementRow[](1);
        rows[0] = Settlement.SettlementRow("session", 40, "leaf", 1, 100, "EUR", 0, address(0));
        vm.startPrank(_SETTLER);
        _settlement.settleBatch(rows);
        _settlement.recordCredit(Settlement.CreditRow("session", "1", "leaf", 10));
        vm.stopPrank();
        _refuse(_ANN, "1", 10, 0, _conflict("1"));
        _credit(_ANN, "2", 10, 0);
        vm.expectRevert(_conflict("2"));
        vm.prank(_SETTLER);
        _settlement.recordCredit(Settlement.CreditRow("session", "2", "leaf", 10));
    }

    function test_ANettedCreditNeedsTheWindowAsItWasSettled() public {
        bytes memory differs = abi.encodeWithSelector(SettlementWindows.SettlementWindowDiffers.selector, 0);
        SettlementWindows.NettedRow[] memory rows = _rows();
        rows[0].flexMilliWh += 1_000;
        _refuseWith(_window(), rows, _row(_ANN, "1", 0, 5_000), differs);
        rows = _rows();
        rows[1].user = STRANGER;
        _refuseWith(_window(), rows, _row(STRANGER, "1", 0, 0), differs);
        SettlementWindows.NettedWindow memory window = _window();
        window.open = new uint64[](1);
        _refuseWith(window, _rows(), _row(_ANN, "1", 0, 0), differs);
        window = _window();
        window.fromLeaf = 20;
        _refuseWith(window, _rows(), _row(_ANN, "1", 0, 0), differs);
        SettlementWindows.NettedCreditRow memory credit = _row(_ANN, "1", 0, 0);
        credit.fromLeaf = 20;
        differs = abi.encodeWithSelector(SettlementWindows.SettlementWindowDiffers.selector, 20);
        _refuseWith(_window(), _rows(), credit, differs);
        _refuseWith(window, _rows(), credit, differs);
    }

    function test_OnlyUsersOfTheWindowAreCredited() public {
        _refuse(
            STRANGER, "1", 0, 0, abi.encodeWithSelector(SettlementWindows.SettlementUserNotNetted.selector, 0, STRANGER)
        );
    }

    function test_AnIncompleteNettedCreditIsRefused() public {
        bytes4 incomplete = SettlementWindows.SettlementCreditIncomplete.selector;
        _refuse(_ANN, bytes32(0), 1, 0, abi.encodeWithSelector(incomplete, bytes32(0), bytes32(0)));
        SettlementWindows.NettedCreditRow memory credit = _row(_ANN, "1", 1, 0);
        credit.leafHash = bytes32(0);
        _refuseWith(_window(), _rows(), credit, abi.encodeWithSelector(incomplete, bytes32(0), bytes32("1")));
    }

    function test_AStrangerCreditsNothingAndNobodyWhilePaused() public {
        expectMissingRole(STRANGER, _settlement.SETTLER_ROLE());
        vm.prank(STRANGER);
        _settlement.recordNettedCredit(_window(), _rows(), _row(_ANN, "1", 1, 0));
        vm.prank(PAUSER);
        _settlement.pause();
        expectPaused();
        _credit(_ANN, "1", 1, 0);
    }

    function _window() private pure returns (SettlementWindows.NettedWindow memory window) {
        window.toLeaf = 20;
        window.currency = "EUR";
        window.listed = new uint64[](2);
        (window.listed[0], window.listed[1]) = (3, 5);
    }

    function _rows() private pure returns (SettlementWindows.NettedRow[] memory rows) {
        rows = new SettlementWindows.NettedRow[](2);
        rows[0] = SettlementWindows.NettedRow(_ANN, 5_000_000, 200, 4_999, "ann");
        rows[1] = SettlementWindows.NettedRow(_BOB, 7_000_000, 300, 0, "bob");
    }

    function _row(address user, bytes32 key, uint64 amountMinor, uint64 flexMilliWh)
        private
        pure
        returns (SettlementWindows.NettedCreditRow memory)
    {
        return SettlementWindows.NettedCreditRow(0, user, key, "leaf", amountMinor, flexMilliWh);
    }

    function _credit(address user, bytes32 key, uint64 amountMinor, uint64 flexMilliWh) private {
        vm.prank(_SETTLER);
        _settlement.recordNettedCredit(_window(), _rows(), _row(user, key, amountMinor, flexMilliWh));
    }

    function _refuse(address user, bytes32 key, uint64 amountMinor, uint64 flexMilliWh, bytes memory reason) private {
        _refuseWith(_window(), _rows(), _row(user, key, amountMinor, flexMilliWh), reason);
    }

    function _refuseWith(
        SettlementWindows.NettedWindow memory window,
        SettlementWindows.NettedRow[] memory rows,
        SettlementWindows.NettedCreditRow memory credit,
        bytes memory reason
    ) private {
        vm.expectRevert(reason);
        vm.prank(_SETTLER);
        _settlement.recordNettedCredit(window, rows, credit);
    }

    function _conflict(bytes32 key) private pure returns (bytes memory) {
        return abi.encodeWithSelector(SettlementWindows.SettlementCreditConflict.selector, key);
    }

    function _tooLarge(address user, uint64 leftMinor, uint64 leftWh) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(
                SettlementWindows.SettlementNettedCreditTooLarge.selector, 0, user, leftMinor, leftWh
            );
    }
}
