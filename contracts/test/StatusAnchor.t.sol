// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {StatusAnchor} from "../src/StatusAnchor.sol";
import {Tree} from "./Tree.sol";
import {TestBase, Vm} from "./Vm.sol";

contract StatusAnchorTest is TestBase {
    address private constant _ANCHORER = address(0xA1);

    StatusAnchor private _anchor;
    bytes32[] private _leaves;

    function setUp() public {
        _anchor = new StatusAnchor(ADMIN);
        vm.startPrank(ADMIN);
        _anchor.grantRole(_anchor.ANCHORER_ROLE(), _ANCHORER);
        _anchor.grantRole(_anchor.PAUSER_ROLE(), PAUSER);
        vm.stopPrank();
        _leaves = Tree.leaves(5, 40);
        vm.warp(1_800_000_000);
    }

    function test_TheFirstHeadNeedsNoProof() public {
        _send(5, Tree.root(_leaves, 5), new bytes32[](0), "");
        (uint64 size, bytes32 root, uint64 anchoredAt) = _anchor.head();
        vm.assertEq(size, 5);
        vm.assertEq(root, Tree.root(_leaves, 5));
        vm.assertEq(anchoredAt, 1_800_000_000);
    }

    function test_TheFirstHeadRefusesAProof() public {
        bytes32 root = Tree.root(_leaves, 5);
        vm.expectRevert(abi.encodeWithSelector(StatusAnchor.AnchorInconsistent.selector, 0, 5));
        _send(5, root, new bytes32[](1), "");
    }

    function testFuzz_AProvenExtensionBecomesTheHead(uint8 a, uint8 b) public {
        (uint64 oldSize, uint64 newSize) = _sizes(a, b);
        _sendHonest(oldSize);
        _sendHonest(newSize);
        (uint64 size, bytes32 root,) = _anchor.head();
        vm.assertEq(size, newSize);
        vm.assertEq(root, Tree.root(_leaves, newSize));
    }

    function testFuzz_ARewrittenHistoryIsRefused(uint8 a, uint8 b, uint8 victim) public {
        (uint64 oldSize, uint64 newSize) = _sizes(a, b);
        _sendHonest(oldSize);
        _leaves[victim % oldSize] ^= bytes32(uint256(1));
        bytes32[] memory proof = Tree.consistency(_leaves, oldSize, newSize);
        bytes32 root = Tree.root(_leaves, newSize);
        vm.expectRevert(abi.encodeWithSelector(StatusAnchor.AnchorInconsistent.selector, oldSize, newSize));
        _send(newSize, root, proof, "");
    }

    function test_TheSameHeadAgainIsRefused() public {
        _sendHonest(7);
        bytes32 root = Tree.root(_leaves, 7);
        vm.expectRevert(abi.encodeWithSelector(StatusAnchor.AnchorSizeNotGrowing.selector, 7, 7));
        _send(7, root, new bytes32[](0), "");
    }

    function test_ASmallerHeadIsRefused() public {
        _sendHonest(7);
        bytes32 root = Tree.root(_leaves, 4);
        vm.expectRevert(abi.encodeWithSelector(StatusAnchor.AnchorSizeNotGrowing.selector, 7, 4));
        _send(4, root, new bytes32[](0), "");
    }

    function test_AZeroRootIsRefused() public {
        vm.expectRevert(abi.encodeWithSelector(StatusAnchor.AnchorRootIsZero.selector));
        _send(4, bytes32(0), new bytes32[](0), "");
    }

    function test_PackedStatusIsPublishedWithItsHash() public {
        bytes memory packed = new bytes(26);
        packed[3] = 0x42;
        bytes32 root = Tree.root(_leaves, 5);
        vm.expectEmit(address(_anchor));
        emit StatusAnchor.HeadAnchored(5, root, sha256(packed));
        vm.expectEmit(address(_anchor));
        emit StatusAnchor.StatusPublished(5, packed);
        _send(5, root, new bytes32[](0), packed);
    }

    function test_AHeadWithoutStatusPublishesNone() public {
        bytes32 root = Tree.root(_leaves, 5);
        vm.recordLogs();
        _send(5, root, new bytes32[](0), "");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 1);
        vm.assertEq(logs[0].topics[0], StatusAnchor.HeadAnchored.selector);
        vm.assertEq(logs[0].data, abi.encode(root, bytes32(0)));
    }

    function test_ATornStatusRecordIsRefused() public {
        bytes32 root = Tree.root(_leaves, 5);
        vm.expectRevert(abi.encodeWithSelector(StatusAnchor.AnchorStatusMisshapen.selector, 14));
        _send(5, root, new bytes32[](0), new bytes(14));
    }

    function test_AStrangerCannotAnchor() public {
        bytes32 root = Tree.root(_leaves, 5);
        expectMissingRole(STRANGER, _anchor.ANCHORER_ROLE());
        vm.prank(STRANGER);
        _anchor.anchor(5, root, new bytes32[](0), "");
    }

    function test_APausedContractKeepsItsHead() public {
        _sendHonest(5);
        vm.prank(PAUSER);
        _anchor.pause();
        bytes32[] memory proof = Tree.consistency(_leaves, 5, 9);
        bytes32 root = Tree.root(_leaves, 9);
        expectPaused();
        _send(9, root, proof, "");
        (uint64 size,,) = _anchor.head();
        vm.assertEq(size, 5);
    }

    function test_ALeafIsProvenAgainstTheHeadInForce() public {
        _sendHonest(5);
        _sendHonest(13);
        vm.assertTrue(_anchor.isIncluded(_leaves[4], 4, Tree.inclusion(_leaves, 4, 13)));
        vm.assertFalse(_anchor.isIncluded(_leaves[4], 4, Tree.inclusion(_leaves, 4, 5)));
        vm.assertFalse(_anchor.isIncluded(_leaves[4], 5, Tree.inclusion(_leaves, 4, 13)));
    }

    function test_NothingIsIncludedInAnEmptyLog() public view {
        vm.assertFalse(_anchor.isIncluded(bytes32(0), 0, new bytes32[](0)));
    }

    function _sizes(uint8 a, uint8 b) private view returns (uint64 oldSize, uint64 newSize) {
        newSize = uint64(2 + a % (_leaves.length - 1));
        oldSize = uint64(1 + b % (newSize - 1));
    }

    function _sendHonest(uint64 newSize) private {
        (uint64 size,,) = _anchor.head();
        _send(newSize, Tree.root(_leaves, newSize), Tree.consistency(_leaves, size, newSize), "");
    }

    function _send(uint64 size, bytes32 root, bytes32[] memory proof, bytes memory packed) private {
        vm.prank(_ANCHORER);
        _anchor.anchor(size, root, proof, packed);
    }
}
