// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FlexToken} from "../src/FlexToken.sol";
import {TestBase} from "./Vm.sol";

contract FlexTokenTest is TestBase {
    address private constant _ENABLER = address(0xA4);
    address private constant _HOLDER = address(0xD1);

    FlexToken private _token;

    function setUp() public {
        _token = new FlexToken(ADMIN);
        vm.startPrank(ADMIN);
        _token.bindMinter(address(this));
        _token.grantRole(_token.TRANSFER_ENABLER_ROLE(), _ENABLER);
        _token.grantRole(_token.PAUSER_ROLE(), PAUSER);
        vm.stopPrank();
    }

    function test_OneTokenIsOneKilowattHour() public view {
        vm.assertEq(_token.name(), "Wattproof Flex");
        vm.assertEq(_token.symbol(), "FLEX");
        vm.assertEq(_token.decimals(), 3);
    }

    function testFuzz_BurningRedeemsTheHoldersOwnTokens(uint128 minted, uint128 burnt) public {
        vm.assume(burnt <= minted);
        _mint(minted);
        vm.expectEmit(address(_token));
        emit FlexToken.FlexRedeemed(_HOLDER, burnt);
        vm.prank(_HOLDER);
        _token.burn(burnt);
        vm.assertEq(_token.balanceOf(_HOLDER), uint256(minted) - burnt);
        vm.assertEq(_token.totalSupply(), uint256(minted) - burnt);
    }

    function test_NobodyBurnsMoreThanTheyHold() public {
        _mint(5);
        vm.expectRevert(abi.encodeWithSignature("ERC20InsufficientBalance(address,uint256,uint256)", _HOLDER, 5, 6));
        vm.prank(_HOLDER);
        _token.burn(6);
    }

    function test_TransfersAreClosedByDefault() public {
        _mint(5);
        vm.expectRevert(abi.encodeWithSelector(FlexToken.FlexTransfersDisabled.selector));
        vm.prank(_HOLDER);
        _token.transfer(STRANGER, 1);
    }

    function test_AnAllowanceDoesNotOpenTransfers() public {
        _mint(5);
        vm.prank(_HOLDER);
        _token.approve(STRANGER, 5);
        vm.expectRevert(abi.encodeWithSelector(FlexToken.FlexTransfersDisabled.selector));
        vm.prank(STRANGER);
        _token.transferFrom(_HOLDER, STRANGER, 1);
    }

    function test_TheEnablerOpensAndClosesTransfers() public {
        _mint(5);
        vm.expectEmit(address(_token));
        emit FlexToken.TransfersSwitched(true);
        vm.prank(_ENABLER);
        _token.setTransfersEnabled(true);
        vm.prank(_HOLDER);
        _token.transfer(STRANGER, 2);
        vm.assertEq(_token.balanceOf(STRANGER), 2);
        vm.prank(_ENABLER);
        _token.setTransfersEnabled(false);
        vm.expectRevert(abi.encodeWithSelector(FlexToken.FlexTransfersDisabled.selector));
        vm.prank(_HOLDER);
        _token.transfer(STRANGER, 1);
    }

    function test_AStrangerNeitherMintsNorOpensTransfers() public {
        vm.expectRevert(abi.encodeWithSelector(FlexToken.FlexNotMinter.selector, STRANGER));
        vm.prank(STRANGER);
        _token.mint(STRANGER, 1);
        vm.expectRevert(abi.encodeWithSelector(FlexToken.FlexNotMinter.selector, STRANGER));
        vm.prank(STRANGER);
        _token.takeBack(STRANGER, 1);
        expectMissingRole(STRANGER, _token.TRANSFER_ENABLER_ROLE());
        vm.prank(STRANGER);
        _token.setTransfersEnabled(true);
    }

    function test_TheFirstMinterIsBoundOnce() public {
        vm.assertEq(_token.minter(), address(this));
        vm.expectRevert(abi.encodeWithSelector(FlexToken.FlexMinterIsBound.selector, address(this)));
        vm.prank(ADMIN);
        _token.bindMinter(address(_token));
        FlexToken fresh = new FlexToken(ADMIN);
        expectMissingRole(STRANGER, bytes32(0));
        vm.prank(STRANGER);
        fresh.bindMinter(address(this));
        vm.expectRevert(abi.encodeWithSelector(FlexToken.FlexMinterHasNoCode.selector, STRANGER));
        vm.prank(ADMIN);
        fresh.bindMinter(STRANGER);
        vm.expectEmit(address(fresh));
        emit FlexToken.MinterBound(address(this));
        vm.prank(ADMIN);
        fresh.bindMinter(address(this));
    }

    function test_NotEvenTheAdminMints() public {
        vm.expectRevert(abi.encodeWithSelector(FlexToken.FlexNotMinter.selector, ADMIN));
        vm.prank(ADMIN);
        _token.mint(ADMIN, 1);
    }

    function testFuzz_WhatIsTakenBackIsBurntOrOwedAndPaidByMinting(
        uint96 minted,
        uint96 redeemed,
        uint96 taken,
        uint96 later
    ) public {
        vm.assume(redeemed <= minted);
        _mint(minted);
        vm.prank(_HOLDER);
        _token.burn(redeemed);
        uint256 held = uint256(minted) - redeemed;
        uint256 burnt = taken < held ? taken : held;
        vm.expectEmit(address(_token));
        emit FlexToken.FlexTakenBack(_HOLDER, burnt, taken - burnt);
        _token.takeBack(_HOLDER, taken);
        vm.assertEq(_token.balanceOf(_HOLDER), held - burnt);
        vm.assertEq(_token.debtOf(_HOLDER), taken - burnt);
        _mint(later);
        uint256 owed = taken - burnt;
        uint256 paid = later < owed ? later : owed;
        vm.assertEq(_token.debtOf(_HOLDER), owed - paid);
        vm.assertEq(_token.balanceOf(_HOLDER), held - burnt + later - paid);
    }

    function test_PauseStopsMintingAndTransfersButNeverRedemption() public {
        _mint(5);
        vm.prank(_ENABLER);
        _token.setTransfersEnabled(true);
        vm.prank(PAUSER);
        _token.pause();
        expectPaused();
        _mint(1);
        expectPaused();
        vm.prank(_HOLDER);
        _token.transfer(STRANGER, 1);
        vm.prank(_HOLDER);
        _token.burn(5);
        vm.assertEq(_token.totalSupply(), 0);
    }

    function _mint(uint256 amountWh) private {
        _token.mint(_HOLDER, amountWh);
    }
}
