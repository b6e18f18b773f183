// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FlexToken} from "../src/FlexToken.sol";
import {TestBase} from "./Vm.sol";

contract FlexTokenTest is TestBase {
    address private constant _MINTER = address(0xA3);
    address private constant _ENABLER = address(0xA4);
    address private constant _HOLDER = address(0xD1);

    FlexToken private _token;

    function setUp() public {
        _token = new FlexToken(ADMIN);
        vm.startPrank(ADMIN);
        _token.grantRole(_token.MINTER_ROLE(), _MINTER);
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
        expectMissingRole(STRANGER, _token.MINTER_ROLE());
        vm.prank(STRANGER);
        _token.mint(STRANGER, 1);
        expectMissingRole(STRANGER, _token.TRANSFER_ENABLER_ROLE());
        vm.prank(STRANGER);
        _token.setTransfersEnabled(true);
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
        vm.prank(_MINTER);
        _token.mint(_HOLDER, amountWh);
    }
}
