// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleLog} from "../src/MerkleLog.sol";
import {Tree} from "./Tree.sol";
import {TestBase} from "./Vm.sol";

/// @dev Opens the internal library to calls with calldata.
contract MerkleLogCaller {
    function isIncluded(bytes32 leaf, uint64 index, uint64 size, bytes32 root, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return MerkleLog.isIncluded(leaf, index, size, root, proof);
    }

    function isConsistent(uint64 oldSize, bytes32 oldRoot, uint64 newSize, bytes32 newRoot, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return MerkleLog.isConsistent(oldSize, oldRoot, newSize, newRoot, proof);
    }
}

contract MerkleLogTest is TestBase {
    uint64 private constant _EXHAUSTIVE_SIZE = 20;
    uint256 private constant _SIZE_LIMIT = 80;

    MerkleLogCaller private _log;

    function setUp() public {
        _log = new MerkleLogCaller();
    }

    function test_EmptyLeafHashesAsInTheRfcTestVector() public pure {
        vm.assertEq(MerkleLog.leafHash(""), bytes32(0x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d));
    }

    function test_TwoLeavesHashUnderTheNodePrefix() public view {
        bytes32 left = MerkleLog.leafHash("");
        bytes32 right = MerkleLog.leafHash(hex"00");
        vm.assertEq(right, bytes32(0x96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7));
        vm.assertEq(
            MerkleLog.nodeHash(left, right), bytes32(0xfac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125)
        );
    }

    function test_EveryInclusionProofOfSmallTreesHoldsAtItsIndexOnly() public view {
        bytes32[] memory list = Tree.leaves(1, _EXHAUSTIVE_SIZE);
        for (uint64 size = 1; size <= _EXHAUSTIVE_SIZE; ++size) {
            bytes32 root = Tree.root(list, size);
            for (uint64 index = 0; index < size; ++index) {
                bytes32[] memory proof = Tree.inclusion(list, index, size);
                for (uint64 claimed = 0; claimed <= size; ++claimed) {
                    bool holds = _log.isIncluded(list[index], claimed, size, root, proof);
                    vm.assertTrue(holds == (claimed == index));
                }
            }
        }
    }

    function test_EveryConsistencyProofOfSmallTreesHolds() public view {
        bytes32[] memory list = Tree.leaves(2, _EXHAUSTIVE_SIZE);
        for (uint64 newSize = 1; newSize <= _EXHAUSTIVE_SIZE; ++newSize) {
            for (uint64 oldSize = 0; oldSize <= newSize; ++oldSize) {
                bytes32 oldRoot = oldSize == 0 ? bytes32(0) : Tree.root(list, oldSize);
                bytes32[] memory proof = Tree.consistency(list, oldSize, newSize);
                vm.assertTrue(_log.isConsistent(oldSize, oldRoot, newSize, Tree.root(list, newSize), proof));
            }
        }
    }

    function test_ShrinkingIsNeverConsistent() public view {
        bytes32[] memory list = Tree.leaves(3, 5);
        bytes32[] memory proof = Tree.consistency(list, 3, 5);
        vm.assertFalse(_log.isConsistent(5, Tree.root(list, 5), 3, Tree.root(list, 3), proof));
        bytes32 whole = Tree.root(list, 4);
        vm.assertFalse(_log.isConsistent(4, whole, 3, whole, new bytes32[](0)));
    }

    function test_EqualSizesAreConsistentForEqualRootsOnly() public view {
        bytes32[] memory none = new bytes32[](0);
        vm.assertTrue(_log.isConsistent(4, bytes32(uint256(7)), 4, bytes32(uint256(7)), none));
        vm.assertFalse(_log.isConsistent(4, bytes32(uint256(7)), 4, bytes32(uint256(8)), none));
        vm.assertFalse(_log.isConsistent(4, bytes32(uint256(7)), 4, bytes32(uint256(7)), new bytes32[](1)));
    }

    function test_AnInnerNodeIsNoLeaf() public view {
        bytes32[] memory list = Tree.leaves(3, 4);
        bytes32 root = Tree.root(list, 4);
        bytes32[] memory proof = Tree.inclusion(list, 1, 2);
        proof[0] = Tree.root(list, 2, 4);
        vm.assertFalse(_log.isIncluded(root, 0, 4, root, new bytes32[](0)));
        vm.assertFalse(_log.isIncluded(Tree.root(list, 2), 0, 4, root, proof));
    }

    function testFuzz_ATreeCannotClaimMoreLeavesThanItHas(uint256 a, uint256 b, uint64 surplus) public view {
        (uint64 oldSize, uint64 newSize) = _sizes(a, b);
        uint64 claimed = newSize + surplus % 300;
        bytes32[] memory list = Tree.leaves(7, newSize);
        bytes32[] memory proof = Tree.consistency(list, oldSize, newSize);
        bytes32 root = Tree.root(list, newSize);
        // Within one height and left of the same nodes, a proof does not depend on the exact size.
        vm.assume(_height(claimed) > _height(newSize));
        vm.assertFalse(_log.isConsistent(oldSize, Tree.root(list, oldSize), claimed, root, proof));
    }

    function test_GrowthWithoutAProofIsNotConsistent() public view {
        bytes32 root = bytes32(uint256(7));
        vm.assertFalse(_log.isConsistent(4, root, 8, root, new bytes32[](0)));
        vm.assertFalse(_log.isConsistent(3, root, 8, root, new bytes32[](0)));
    }

    function testFuzz_ConsistencyHoldsForAnExtension(uint256 seed, uint256 a, uint256 b) public view {
        (uint64 oldSize, uint64 newSize) = _sizes(a, b);
        bytes32[] memory list = Tree.leaves(seed, newSize);
        bytes32[] memory proof = Tree.consistency(list, oldSize, newSize);
        vm.assertTrue(_log.isConsistent(oldSize, Tree.root(list, oldSize), newSize, Tree.root(list, newSize), proof));
    }

    function testFuzz_ChangingOneOldLeafBreaksConsistency(uint256 seed, uint256 a, uint256 b, uint256 victim)
        public
        view
    {
        (uint64 oldSize, uint64 newSize) = _sizes(a, b);
        bytes32[] memory list = Tree.leaves(seed, newSize);
        bytes32 oldRoot = Tree.root(list, oldSize);
        list[victim % oldSize] ^= bytes32(uint256(1));
        bytes32[] memory proof = Tree.consistency(list, oldSize, newSize);
        vm.assertFalse(_log.isConsistent(oldSize, oldRoot, newSize, Tree.root(list, newSize), proof));
    }

    function testFuzz_ATouchedConsistencyProofFails(uint256 seed, uint256 a, uint256 b, uint256 place, uint256 how)
        public
        view
    {
        (uint64 oldSize, uint64 newSize) = _sizes(a, b);
        bytes32[] memory list = Tree.leaves(seed, newSize);
        bytes32[] memory proof = _touch(Tree.consistency(list, oldSize, newSize), place, how);
        vm.assertFalse(_log.isConsistent(oldSize, Tree.root(list, oldSize), newSize, Tree.root(list, newSize), proof));
    }

    function testFuzz_AConsistencyProofServesNoOtherSizes(uint256 seed, uint256 a, uint256 b, uint256 c) public view {
        (uint64 oldSize, uint64 newSize) = _sizes(a, b);
        uint64 other = uint64(1 + c % (newSize - 1));
        vm.assume(other != oldSize);
        bytes32[] memory list = Tree.leaves(seed, newSize);
        bytes32[] memory proof = Tree.consistency(list, oldSize, newSize);
        vm.assertFalse(_log.isConsistent(other, Tree.root(list, other), newSize, Tree.root(list, newSize), proof));
    }

    function testFuzz_InclusionHolds(uint256 seed, uint256 a, uint256 b) public view {
        uint64 size = uint64(2 + a % _SIZE_LIMIT);
        uint64 index = uint64(b % size);
        bytes32[] memory list = Tree.leaves(seed, size);
        bytes32[] memory proof = Tree.inclusion(list, index, size);
        vm.assertTrue(_log.isIncluded(list[index], index, size, Tree.root(list, size), proof));
    }

    function testFuzz_ATouchedInclusionProofFails(uint256 a, uint256 b, uint256 place, uint256 how) public view {
        uint64 size = uint64(2 + a % _SIZE_LIMIT);
        uint64 index = uint64(b % size);
        bytes32[] memory list = Tree.leaves(4, size);
        bytes32[] memory proof = _touch(Tree.inclusion(list, index, size), place, how);
        vm.assertFalse(_log.isIncluded(list[index], index, size, Tree.root(list, size), proof));
    }

    /// @dev Two sizes with 0 < old < new.
    function _sizes(uint256 a, uint256 b) private pure returns (uint64 oldSize, uint64 newSize) {
        newSize = uint64(2 + a % _SIZE_LIMIT);
        oldSize = uint64(1 + b % (newSize - 1));
    }

    /// @dev Levels between the leaves and the root.
    function _height(uint64 size) private pure returns (uint256 levels) {
        while (uint256(1) << levels < size) {
            ++levels;
        }
    }

    /// @dev Flips a bit, drops the last hash, or adds one.
    function _touch(bytes32[] memory proof, uint256 place, uint256 how)
        private
        pure
        returns (bytes32[] memory touched)
    {
        uint256 length = proof.length;
        uint256 kind = how % 3;
        touched = new bytes32[](kind == 0 ? length : kind == 1 ? length - 1 : length + 1);
        for (uint256 i = 0; i < touched.length; ++i) {
            touched[i] = i < length ? proof[i] : bytes32(place);
        }
        if (kind == 0) touched[place % length] ^= bytes32(uint256(1) << (how % 256));
    }
}
