// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AlgorithmRegistry} from "../src/AlgorithmRegistry.sol";
import {AssetRegistry} from "../src/AssetRegistry.sol";
import {Escrow} from "../src/Escrow.sol";
import {FlexToken} from "../src/FlexToken.sol";
import {Settlement} from "../src/Settlement.sol";
import {StatusAnchor} from "../src/StatusAnchor.sol";
import {Stoppable} from "../src/Stoppable.sol";
import {TestBase} from "./Vm.sol";

contract StoppableTest is TestBase {
    Stoppable[] private _contracts;

    function setUp() public {
        FlexToken token = new FlexToken(ADMIN);
        _contracts.push(token);
        StatusAnchor anchor = new StatusAnchor(ADMIN);
        Settlement settlement = new Settlement(ADMIN, address(token), address(anchor));
        _contracts.push(settlement);
        _contracts.push(anchor);
        _contracts.push(new Escrow(ADMIN, address(token), address(settlement), "EUR", 1));
        _contracts.push(new AssetRegistry(ADMIN));
        _contracts.push(new AlgorithmRegistry(ADMIN));
        vm.startPrank(ADMIN);
        for (uint256 i = 0; i < _contracts.length; ++i) {
            _contracts[i].grantRole(_contracts[i].PAUSER_ROLE(), PAUSER);
        }
        vm.stopPrank();
    }

    function test_OnlyTheAdminHoldsARoleAtFirst() public view {
        for (uint256 i = 0; i < _contracts.length; ++i) {
            vm.assertTrue(_contracts[i].hasRole(bytes32(0), ADMIN));
            vm.assertFalse(_contracts[i].hasRole(bytes32(0), address(this)));
            vm.assertFalse(_contracts[i].hasRole(_contracts[i].PAUSER_ROLE(), ADMIN));
        }
    }

    function test_TheAdminCannotBeZero() public {
        vm.expectRevert(abi.encodeWithSelector(Stoppable.StoppableAdminIsZero.selector));
        new StatusAnchor(address(0));
    }

    function test_ThePauserStopsAndOnlyTheAdminStartsAgain() public {
        for (uint256 i = 0; i < _contracts.length; ++i) {
            vm.prank(PAUSER);
            _contracts[i].pause();
            vm.assertTrue(_contracts[i].paused());
            expectMissingRole(PAUSER, bytes32(0));
            vm.prank(PAUSER);
            _contracts[i].unpause();
            vm.prank(ADMIN);
            _contracts[i].unpause();
            vm.assertFalse(_contracts[i].paused());
        }
    }

    function test_AStrangerCannotStop() public {
        for (uint256 i = 0; i < _contracts.length; ++i) {
            bytes32 role = _contracts[i].PAUSER_ROLE();
            expectMissingRole(STRANGER, role);
            vm.prank(STRANGER);
            _contracts[i].pause();
        }
    }

    function test_OnlyTheAdminGrantsRoles() public {
        for (uint256 i = 0; i < _contracts.length; ++i) {
            bytes32 role = _contracts[i].PAUSER_ROLE();
            expectMissingRole(PAUSER, bytes32(0));
            vm.prank(PAUSER);
            _contracts[i].grantRole(role, STRANGER);
        }
    }
}
