// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AlgorithmRegistry} from "../src/AlgorithmRegistry.sol";
import {TestBase} from "./Vm.sol";

contract AlgorithmRegistryTest is TestBase {
    address private constant _PUBLISHER = address(0xA5);
    bytes32 private constant _ID = keccak256("release");

    AlgorithmRegistry private _registry;

    function setUp() public {
        _registry = new AlgorithmRegistry(ADMIN);
        vm.startPrank(ADMIN);
        _registry.grantRole(_registry.PUBLISHER_ROLE(), _PUBLISHER);
        _registry.grantRole(_registry.PAUSER_ROLE(), PAUSER);
        vm.stopPrank();
        vm.warp(1_800_000_000);
    }

    function testFuzz_APublishedReleaseReadsBackUnchanged(
        bytes32 algorithmId,
        string calldata version,
        bytes32 wheel,
        uint64 activeFrom,
        string calldata uri
    ) public {
        vm.assume(algorithmId != bytes32(0) && wheel != bytes32(0));
        vm.expectEmit(address(_registry));
        emit AlgorithmRegistry.AlgorithmPublished(algorithmId, version, wheel, "source", "lock", activeFrom, uri);
        vm.prank(_PUBLISHER);
        _registry.publish(algorithmId, version, wheel, "source", "lock", activeFrom, uri);
        AlgorithmRegistry.Algorithm memory wanted = AlgorithmRegistry.Algorithm({
            version: version,
            wheelSha256: wheel,
            sourceSha256: "source",
            environmentSha256: "lock",
            activeFrom: activeFrom,
            publishedAt: 1_800_000_000,
            uri: uri
        });
        vm.assertEq(abi.encode(_registry.algorithm(algorithmId)), abi.encode(wanted));
        vm.assertEq(_registry.algorithmCount(), 1);
    }

    function test_AReleaseNeverChanges() public {
        _publish(_ID, "wheel");
        vm.expectRevert(abi.encodeWithSelector(AlgorithmRegistry.AlgorithmAlreadyPublished.selector, _ID));
        _publish(_ID, "other wheel");
        vm.assertEq(_registry.algorithm(_ID).wheelSha256, bytes32("wheel"));
        vm.assertEq(_registry.algorithmCount(), 1);
    }

    function test_ReleasesAreCounted() public {
        _publish(_ID, "wheel");
        _publish(keccak256("next"), "wheel");
        vm.assertEq(_registry.algorithmCount(), 2);
        vm.assertTrue(_registry.isPublished(_ID));
        vm.assertFalse(_registry.isPublished(keccak256("third")));
    }

    function test_AReleaseNeedsAnIdAndAWheel() public {
        vm.expectRevert(abi.encodeWithSelector(AlgorithmRegistry.AlgorithmIdIsZero.selector));
        _publish(bytes32(0), "wheel");
        vm.expectRevert(abi.encodeWithSelector(AlgorithmRegistry.AlgorithmWheelIsZero.selector, _ID));
        _publish(_ID, bytes32(0));
    }

    function test_AnUnknownReleaseCannotBeRead() public {
        vm.expectRevert(abi.encodeWithSelector(AlgorithmRegistry.AlgorithmUnknown.selector, _ID));
        _registry.algorithm(_ID);
    }

    function test_AStrangerCannotPublish() public {
        expectMissingRole(STRANGER, _registry.PUBLISHER_ROLE());
        vm.prank(STRANGER);
        _registry.publish(_ID, "1", "wheel", "source", "lock", 0, "");
    }

    function test_APausedRegistryRefuses() public {
        vm.prank(PAUSER);
        _registry.pause();
        expectPaused();
        _publish(_ID, "wheel");
    }

    function _publish(bytes32 algorithmId, bytes32 wheel) private {
        vm.prank(_PUBLISHER);
        _registry.publish(algorithmId, "1.0.0", wheel, "source", "lock", 1_800_000_900, "ipfs://wheel");
    }
}
