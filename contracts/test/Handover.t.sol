// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FlexToken} from "../src/FlexToken.sol";
import {Handover} from "../src/Handover.sol";
import {Settlement} from "../src/Settlement.sol";
import {SettlementWindows} from "../src/SettlementWindows.sol";
import {StatusAnchor} from "../src/StatusAnchor.sol";
import {TestBase} from "./Vm.sol";

/// @dev What survives when an anchor or a Settlement cannot be used any more.
contract HandoverTest is TestBase {
    uint64 private constant _NOW = 1_800_000_000;

    FlexToken private _token;
    StatusAnchor private _anchor;
    Settlement private _settlement;

    function setUp() public {
        vm.warp(_NOW);
        _token = new FlexToken(ADMIN);
        _anchor = _anchored(64);
        _settlement = new Settlement(ADMIN, address(_token), address(_anchor));
        vm.startPrank(ADMIN);
        _token.bindMinter(address(_settlement));
        _settlement.grantRole(_settlement.SETTLER_ROLE(), ADMIN);
        _settlement.grantRole(_settlement.PAUSER_ROLE(), PAUSER);
        _token.grantRole(_token.PAUSER_ROLE(), PAUSER);
        vm.stopPrank();
    }

    function test_AnAnnouncedAnchorTakesOverAfterAWeekAndTheBooksStay() public {
        vm.prank(ADMIN);
        _settlement.recordInvoices(0, 20, "root", 4, new uint64[](0), new uint64[](0));
        StatusAnchor next = _anchored(80);
        vm.expectEmit(address(_settlement));
        emit Handover.HandoverAnnounced(address(next), _NOW + 7 days);
        _announce(_settlement, address(next));
        vm.assertEq(_settlement.successor(), address(next));
        vm.warp(_NOW + 7 days - 1);
        vm.expectRevert(abi.encodeWithSelector(Handover.HandoverTooEarly.selector, _NOW + 7 days));
        vm.prank(ADMIN);
        _settlement.completeHandover();
        vm.assertEq(address(_settlement.statusAnchor()), address(_anchor));
        vm.warp(_NOW + 7 days);
        vm.expectEmit(address(_settlement));
        emit Handover.HandedOver(address(next));
        vm.prank(ADMIN);
        _settlement.completeHandover();
        vm.assertEq(address(_settlement.statusAnchor()), address(next));
        vm.assertEq(_settlement.closedBefore(), 20);
        vm.prank(ADMIN);
        _settlement.recordInvoices(20, 80, "root", 4, new uint64[](0), new uint64[](0));
        _refuseCompletion(_settlement);
    }

    function test_AnAnchorThatHoldsLessThanWasClosedDoesNotTakeOver() public {
        vm.prank(ADMIN);
        _settlement.recordInvoices(0, 20, "root", 4, new uint64[](0), new uint64[](0));
        _announce(_settlement, address(_anchored(19)));
        vm.warp(_NOW + 7 days);
        vm.expectRevert(abi.encodeWithSelector(SettlementWindows.SettlementAnchorTooShort.selector, 19, 20));
        vm.prank(ADMIN);
        _settlement.completeHandover();
        vm.assertEq(address(_settlement.statusAnchor()), address(_anchor));
    }

    function test_ANewSettlementMintsTheSameTokenAfterAWeek() public {
        Settlement next = new Settlement(ADMIN, address(_token), address(_anchor));
        _announce(_token, address(next));
        vm.prank(address(_settlement));
        _token.mint(STRANGER, 5);
        vm.expectRevert(abi.encodeWithSelector(FlexToken.FlexNotMinter.selector, address(next)));
        vm.prank(address(next));
        _token.mint(STRANGER, 5);
        vm.warp(_NOW + 7 days);
        vm.expectEmit(address(_token));
        emit FlexToken.MinterBound(address(next));
        vm.prank(ADMIN);
        _token.completeHandover();
        vm.prank(address(next));
        _token.mint(STRANGER, 7);
        vm.assertEq(_token.balanceOf(STRANGER), 12);
        vm.expectRevert(abi.encodeWithSelector(FlexToken.FlexNotMinter.selector, address(_settlement)));
        vm.prank(address(_settlement));
        _token.mint(STRANGER, 5);
    }

    function test_ThePauserOrTheAdminTakesAnAnnouncementBack() public {
        address[2] memory who = [PAUSER, ADMIN];
        for (uint256 i = 0; i < who.length; ++i) {
            _announce(_token, address(_anchor));
            vm.expectEmit(address(_token));
            emit Handover.HandoverCancelled(address(_anchor));
            vm.prank(who[i]);
            _token.cancelHandover();
            vm.warp(block.timestamp + 8 days);
            _refuseCompletion(_token);
            vm.expectRevert(abi.encodeWithSelector(Handover.HandoverNotAnnounced.selector));
            vm.prank(who[i]);
            _token.cancelHandover();
        }
        vm.assertEq(_token.minter(), address(_settlement));
        vm.assertEq(_token.successorFrom(), 0);
    }

    function test_AnnouncingAgainBeginsTheWeekAnew() public {
        _announce(_token, address(_anchor));
        vm.warp(_NOW + 6 days);
        _announce(_token, address(_token));
        vm.warp(_NOW + 7 days);
        vm.expectRevert(abi.encodeWithSelector(Handover.HandoverTooEarly.selector, _NOW + 13 days));
        vm.prank(ADMIN);
        _token.completeHandover();
    }

    function test_AnAddressWithoutCodeIsNotAnnounced() public {
        vm.expectRevert(abi.encodeWithSelector(Handover.HandoverHasNoCode.selector, STRANGER));
        _announce(_token, STRANGER);
    }

    function test_AStrangerHandsNothingOver() public {
        expectMissingRole(STRANGER, bytes32(0));
        vm.prank(STRANGER);
        _token.announceHandover(address(_anchor));
        _announce(_token, address(_anchor));
        expectMissingRole(STRANGER, bytes32(0));
        vm.prank(STRANGER);
        _token.cancelHandover();
        vm.warp(_NOW + 7 days);
        expectMissingRole(STRANGER, bytes32(0));
        vm.prank(STRANGER);
        _token.completeHandover();
    }

    function _announce(Handover subject, address next) private {
        vm.prank(ADMIN);
        subject.announceHandover(next);
    }

    function _refuseCompletion(Handover subject) private {
        vm.expectRevert(abi.encodeWithSelector(Handover.HandoverNotAnnounced.selector));
        vm.prank(ADMIN);
        subject.completeHandover();
    }

    function _anchored(uint64 size) private returns (StatusAnchor anchor) {
        anchor = new StatusAnchor(ADMIN);
        vm.startPrank(ADMIN);
        anchor.grantRole(anchor.ANCHORER_ROLE(), ADMIN);
        anchor.anchor(size, "root", new bytes32[](0), "");
        vm.stopPrank();
    }
}
