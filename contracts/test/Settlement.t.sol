// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FlexToken} from "../src/FlexToken.sol";
import {SettlementWindows} from "../src/SettlementWindows.sol";
import {Settlement} from "../src/Settlement.sol";
import {StatusAnchor} from "../src/StatusAnchor.sol";
import {TestBase, Vm} from "./Vm.sol";

contract SettlementTest is TestBase {
    address private constant _SETTLER = address(0xA6);
    address private constant _DRIVER = address(0xD2);
    bytes32 private constant _KEY = keccak256("session");
    bytes32 private constant _CREDIT = keccak256("credit");

    FlexToken private _token;
    Settlement private _settlement;

    function setUp() public {
        _token = new FlexToken(ADMIN);
        _settlement = new Settlement(ADMIN, address(_token), address(new StatusAnchor(ADMIN)));
        vm.startPrank(ADMIN);
        _token.bindMinter(address(_settlement));
        _settlement.grantRole(_settlement.SETTLER_ROLE(), _SETTLER);
        _settlement.grantRole(_settlement.PAUSER_ROLE(), PAUSER);
        vm.stopPrank();
    }

    function test_TokenAndAnchorCannotBeZero() public {
        vm.expectRevert(abi.encodeWithSelector(SettlementWindows.SettlementTokenIsZero.selector));
        new Settlement(ADMIN, address(0), address(1));
        vm.expectRevert(abi.encodeWithSelector(SettlementWindows.SettlementAnchorIsZero.selector));
        new Settlement(ADMIN, address(1), address(0));
    }

    function testFuzz_ASessionSettlesOnceWithItsContent(Settlement.SettlementRow memory row) public {
        row = _complete(row);
        vm.expectEmit(address(_settlement));
        emit Settlement.SessionSettled(
            row.sessionKey, row.startLeafIndex, row.leafHash, row.energyMilliWh, row.amountMinor, row.currency
        );
        _settle(row);
        vm.assertEq(_settlement.settledContent(row.sessionKey), keccak256(abi.encode(row)));
        (uint64 amountMinor, uint64 creditedMinor) = _settlement.settledAmounts(row.sessionKey);
        vm.assertEq(amountMinor, row.amountMinor);
        vm.assertEq(creditedMinor, 0);
        vm.assertTrue(_settlement.isStartLeafSettled(row.startLeafIndex));
        vm.assertEq(_settlement.settledCount(), 1);
    }

    function testFuzz_TheSameRowAgainIsSkipped(Settlement.SettlementRow memory row) public {
        row = _complete(row);
        _settle(row);
        uint256 supplyWh = _token.totalSupply();
        vm.recordLogs();
        _settle(row);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 1);
        vm.assertEq(logs[0].topics[0], Settlement.SettlementRepeated.selector);
        vm.assertEq(logs[0].topics[1], row.sessionKey);
        vm.assertEq(_settlement.settledCount(), 1);
        vm.assertEq(_token.totalSupply(), supplyWh);
    }

    function test_ARepeatedRowDoesNotHoldUpItsBatch() public {
        _settle(_row(_KEY, 7));
        Settlement.SettlementRow[] memory rows = new Settlement.SettlementRow[](3);
        rows[0] = _row(_KEY, 7);
        rows[1] = _row(keccak256("next"), 8);
        rows[2] = rows[1];
        vm.prank(_SETTLER);
        _settlement.settleBatch(rows);
        vm.assertEq(_settlement.settledCount(), 2);
    }

    function testFuzz_ASettledSessionRefusesAnyOtherContent(uint8 field, uint64 change) public {
        _settle(_row(_KEY, 7));
        Settlement.SettlementRow memory row = _row(_KEY, 7);
        vm.assume(change != 0);
        uint256 which = field % 6;
        unchecked {
            if (which == 0) row.startLeafIndex += change;
            if (which == 1) row.leafHash ^= bytes32(uint256(change));
            if (which == 2) row.energyMilliWh += change;
            if (which == 3) row.amountMinor += change;
            if (which == 4) row.flexMilliWh += change;
            if (which == 5) row.flexTo = address(uint160(row.flexTo) ^ change);
        }
        _refuseConflict(row);
    }

    function test_ASessionCannotSettleTwiceUnderTwoSalts() public {
        _settle(_row(_KEY, 7));
        _refuseConflict(_row(keccak256("other salt"), 7));
    }

    function test_AConflictRefusesTheWholeBatch() public {
        _settle(_row(_KEY, 7));
        Settlement.SettlementRow[] memory rows = new Settlement.SettlementRow[](2);
        rows[0] = _row(keccak256("next"), 8);
        rows[1] = _row(keccak256("third"), 7);
        vm.expectRevert(abi.encodeWithSelector(Settlement.SettlementConflict.selector, rows[1].sessionKey, uint64(7)));
        vm.prank(_SETTLER);
        _settlement.settleBatch(rows);
        vm.assertEq(_settlement.settledContent(rows[0].sessionKey), bytes32(0));
        vm.assertEq(_settlement.settledCount(), 1);
    }

    function testFuzz_StartLeavesDoNotDisturbEachOther(uint64 a, uint64 b) public {
        vm.assume(a != b);
        _settle(_row(_KEY, a));
        vm.assertTrue(_settlement.isStartLeafSettled(a));
        vm.assertFalse(_settlement.isStartLeafSettled(b));
        _settle(_row(keccak256("next"), b));
        vm.assertTrue(_settlement.isStartLeafSettled(b));
    }

    function test_AnIncompleteRowIsRefused() public {
        Settlement.SettlementRow memory row = _row(bytes32(0), 7);
        _refuse(row, abi.encodeWithSelector(Settlement.SettlementRowIncomplete.selector, bytes32(0), 7));
        row = _row(_KEY, 7);
        row.leafHash = bytes32(0);
        _refuse(row, abi.encodeWithSelector(Settlement.SettlementRowIncomplete.selector, _KEY, 7));
        row = _row(_KEY, 7);
        row.currency = bytes3(0);
        _refuse(row, abi.encodeWithSelector(Settlement.SettlementRowIncomplete.selector, _KEY, 7));
    }

    function test_FlexibilityIsMintedInWholeWattHours() public {
        Settlement.SettlementRow memory row = _row(_KEY, 7);
        row.flexMilliWh = 1_234_999;
        vm.expectEmit(address(_settlement));
        emit Settlement.FlexAwarded(_KEY, _DRIVER, 1_234_999);
        _settle(row);
        vm.assertEq(_token.balanceOf(_DRIVER), 1234);
    }

    function test_NothingIsMintedBelowOneWattHourOrForNobody() public {
        Settlement.SettlementRow memory row = _row(_KEY, 7);
        row.flexMilliWh = 999;
        _settle(row);
        row = _row(keccak256("next"), 8);
        row.flexTo = address(0);
        _settle(row);
        vm.assertEq(_token.totalSupply(), 0);
        vm.assertEq(_settlement.settledCount(), 2);
    }

    function test_WithoutABoundMinterNothingSettlesHalfway() public {
        FlexToken unbound = new FlexToken(ADMIN);
        _settlement = new Settlement(ADMIN, address(unbound), address(1));
        vm.startPrank(ADMIN);
        _settlement.grantRole(_settlement.SETTLER_ROLE(), _SETTLER);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(FlexToken.FlexNotMinter.selector, address(_settlement)));
        _settle(_row(_KEY, 7));
        vm.assertEq(_settlement.settledCount(), 0);
    }

    function test_ACreditTakesBackFlexibilityUpToWhatTheSessionBrought() public {
        Settlement.SettlementRow memory row = _row(_KEY, 7);
        _settle(row);
        vm.expectEmit(address(_token));
        emit FlexToken.FlexTakenBack(_DRIVER, 2000, 0);
        _flexCredit(row, _CREDIT, 2_000_999);
        vm.assertEq(_token.balanceOf(_DRIVER), 1000);
        _flexCredit(row, _CREDIT, 2_000_999);
        vm.assertEq(_token.balanceOf(_DRIVER), 1000);
        vm.expectRevert(
            abi.encodeWithSelector(Settlement.SettlementFlexCreditTooLarge.selector, _KEY, uint64(1000), uint64(1001))
        );
        _flexCredit(row, keccak256("second"), 1_001_000);
        _flexCredit(row, keccak256("second"), 1_000_000);
        vm.assertEq(_token.totalSupply(), 0);
    }

    function test_ACreditNeverFailsBecauseTheHolderRedeemed() public {
        Settlement.SettlementRow memory row = _row(_KEY, 7);
        _settle(row);
        vm.prank(_DRIVER);
        _token.burn(2500);
        vm.expectEmit(address(_settlement));
        emit Settlement.FlexCredited(_KEY, _CREDIT, _DRIVER, 3_000_000);
        _flexCredit(row, _CREDIT, 3_000_000);
        vm.assertEq(_token.balanceOf(_DRIVER), 0);
        vm.assertEq(_token.debtOf(_DRIVER), 2500);
        (, uint64 creditedMinor) = _settlement.settledAmounts(_KEY);
        vm.assertEq(creditedMinor, 100);
        _settle(_row(keccak256("next"), 8));
        vm.assertEq(_token.balanceOf(_DRIVER), 500);
        vm.assertEq(_token.debtOf(_DRIVER), 0);
    }

    function test_AFlexCreditWorksWhileTheTokenIsPaused() public {
        Settlement.SettlementRow memory row = _row(_KEY, 7);
        _settle(row);
        vm.startPrank(ADMIN);
        _token.grantRole(_token.PAUSER_ROLE(), PAUSER);
        vm.stopPrank();
        vm.prank(PAUSER);
        _token.pause();
        _flexCredit(row, _CREDIT, 3_000_000);
        vm.assertEq(_token.totalSupply(), 0);
    }

    function test_AFlexCreditNeedsTheRowOfTheSession() public {
        _settle(_row(_KEY, 7));
        Settlement.SettlementRow memory row = _row(_KEY, 7);
        row.flexTo = STRANGER;
        vm.expectRevert(abi.encodeWithSelector(Settlement.SettlementRowDiffers.selector, _KEY));
        _flexCredit(row, _CREDIT, 1000);
        row = _row(_KEY, 7);
        row.flexMilliWh += 1000;
        vm.expectRevert(abi.encodeWithSelector(Settlement.SettlementRowDiffers.selector, _KEY));
        _flexCredit(row, _CREDIT, 1000);
    }

    function test_NothingIsTakenBackWhereNobodyReceived() public {
        Settlement.SettlementRow memory row = _row(_KEY, 7);
        row.flexTo = address(0);
        _settle(row);
        vm.expectRevert(
            abi.encodeWithSelector(Settlement.SettlementFlexCreditTooLarge.selector, _KEY, uint64(0), uint64(1))
        );
        _flexCredit(row, _CREDIT, 1000);
        _flexCredit(row, _CREDIT, 999);
    }

    function test_ACreditKeyServesOneWayOnly() public {
        Settlement.SettlementRow memory row = _row(_KEY, 7);
        _settle(row);
        _credit(_KEY, _CREDIT, 100);
        vm.expectRevert(abi.encodeWithSelector(SettlementWindows.SettlementCreditConflict.selector, _CREDIT));
        _flexCredit(row, _CREDIT, 0);
    }

    function test_CreditsAddUpToTheSettledAmountAndNoFurther() public {
        _settle(_row(_KEY, 7));
        vm.expectEmit(address(_settlement));
        emit Settlement.CreditRecorded(_KEY, _CREDIT, "leaf", 400);
        _credit(_KEY, _CREDIT, 400);
        _credit(_KEY, keccak256("second"), 600);
        (, uint64 creditedMinor) = _settlement.settledAmounts(_KEY);
        vm.assertEq(creditedMinor, 1000);
        vm.expectRevert(abi.encodeWithSelector(Settlement.SettlementCreditTooLarge.selector, _KEY, 0, 1));
        _credit(_KEY, keccak256("third"), 1);
    }

    function testFuzz_ACreditAboveTheAmountIsRefused(uint64 amountMinor) public {
        vm.assume(amountMinor > 1000);
        _settle(_row(_KEY, 7));
        vm.expectRevert(abi.encodeWithSelector(Settlement.SettlementCreditTooLarge.selector, _KEY, 1000, amountMinor));
        _credit(_KEY, _CREDIT, amountMinor);
    }

    function test_TheSameCreditAgainIsSkipped() public {
        _settle(_row(_KEY, 7));
        _credit(_KEY, _CREDIT, 800);
        vm.expectEmit(address(_settlement));
        emit Settlement.CreditRepeated(_KEY, _CREDIT);
        _credit(_KEY, _CREDIT, 800);
        (, uint64 creditedMinor) = _settlement.settledAmounts(_KEY);
        vm.assertEq(creditedMinor, 800);
        vm.assertTrue(_settlement.creditContent(_CREDIT) != bytes32(0));
    }

    function test_ACreditKeyServesOneContentOnly() public {
        _settle(_row(_KEY, 7));
        _settle(_row(keccak256("next"), 8));
        _credit(_KEY, _CREDIT, 100);
        vm.expectRevert(abi.encodeWithSelector(SettlementWindows.SettlementCreditConflict.selector, _CREDIT));
        _credit(_KEY, _CREDIT, 101);
        vm.expectRevert(abi.encodeWithSelector(SettlementWindows.SettlementCreditConflict.selector, _CREDIT));
        _credit(keccak256("next"), _CREDIT, 100);
    }

    function test_OnlyASettledSessionIsCredited() public {
        vm.expectRevert(abi.encodeWithSelector(Settlement.SettlementSessionUnknown.selector, _KEY));
        _credit(_KEY, _CREDIT, 0);
    }

    function test_AnIncompleteCreditIsRefused() public {
        _settle(_row(_KEY, 7));
        vm.expectRevert(abi.encodeWithSelector(SettlementWindows.SettlementCreditIncomplete.selector, _KEY, bytes32(0)));
        _credit(_KEY, bytes32(0), 1);
        vm.expectRevert(abi.encodeWithSelector(SettlementWindows.SettlementCreditIncomplete.selector, _KEY, _CREDIT));
        vm.prank(_SETTLER);
        _settlement.recordCredit(Settlement.CreditRow(_KEY, _CREDIT, bytes32(0), 1));
    }

    function test_AStrangerNeitherSettlesNorCredits() public {
        bytes32 role = _settlement.SETTLER_ROLE();
        expectMissingRole(STRANGER, role);
        vm.prank(STRANGER);
        _settlement.settleBatch(new Settlement.SettlementRow[](0));
        expectMissingRole(STRANGER, role);
        vm.prank(STRANGER);
        _settlement.recordCredit(Settlement.CreditRow(_KEY, _CREDIT, "leaf", 1));
        expectMissingRole(STRANGER, role);
        vm.prank(STRANGER);
        _settlement.recordFlexCredit(_row(_KEY, 7), Settlement.CreditRow(_KEY, _CREDIT, "leaf", 1), 0);
    }

    function test_PauseStopsSettlementAndCredit() public {
        _settle(_row(_KEY, 7));
        vm.prank(PAUSER);
        _settlement.pause();
        expectPaused();
        _settle(_row(_KEY, 7));
        expectPaused();
        _credit(_KEY, _CREDIT, 1);
        expectPaused();
        _flexCredit(_row(_KEY, 7), _CREDIT, 1);
    }

    function _row(bytes32 sessionKey, uint64 startLeafIndex) private pure returns (Settlement.SettlementRow memory) {
        return Settlement.SettlementRow({
            sessionKey: sessionKey,
            startLeafIndex: startLeafIndex,
            leafHash: keccak256("settlement leaf"),
            energyMilliWh: 22_000_000,
            amountMinor: 1000,
            currency: "EUR",
            flexMilliWh: 3_000_000,
            flexTo: _DRIVER
        });
    }

    function _complete(Settlement.SettlementRow memory row) private pure returns (Settlement.SettlementRow memory) {
        if (row.sessionKey == bytes32(0)) row.sessionKey = _KEY;
        if (row.leafHash == bytes32(0)) row.leafHash = _KEY;
        if (row.currency == bytes3(0)) row.currency = "EUR";
        return row;
    }

    function _settle(Settlement.SettlementRow memory row) private {
        Settlement.SettlementRow[] memory rows = new Settlement.SettlementRow[](1);
        rows[0] = row;
        vm.prank(_SETTLER);
        _settlement.settleBatch(rows);
    }

    function _credit(bytes32 sessionKey, bytes32 creditKey, uint64 amountMinor) private {
        vm.prank(_SETTLER);
        _settlement.recordCredit(Settlement.CreditRow(sessionKey, creditKey, "leaf", amountMinor));
    }

    function _flexCredit(Settlement.SettlementRow memory row, bytes32 creditKey, uint64 flexMilliWh) private {
        vm.prank(_SETTLER);
        _settlement.recordFlexCredit(row, Settlement.CreditRow(row.sessionKey, creditKey, "leaf", 100), flexMilliWh);
    }

    function _refuse(Settlement.SettlementRow memory row, bytes memory reason) private {
        vm.expectRevert(reason);
        _settle(row);
    }

    function _refuseConflict(Settlement.SettlementRow memory row) private {
        _refuse(row, abi.encodeWithSelector(Settlement.SettlementConflict.selector, row.sessionKey, row.startLeafIndex));
    }
}
