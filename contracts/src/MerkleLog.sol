// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title MerkleLog
/// @notice Checks RFC 9162 (SHA-256) proofs of an append-only log.
/// @dev Leaf hash `SHA-256(0x00 || data)`, node hash `SHA-256(0x01 || left || right)`. A wrong proof
/// gives `false`, never a revert, so that a view can answer it; callers that must refuse do so.
/// @custom:kill Stateless and internal: nothing to stop.
library MerkleLog {
    /// @notice Hashes a leaf.
    /// @param data The bytes of the leaf.
    /// @return The leaf hash.
    function leafHash(bytes memory data) internal pure returns (bytes32) {
        return sha256(bytes.concat(bytes1(0x00), data));
    }

    /// @notice Hashes two children into their parent.
    /// @dev `sha256(bytes.concat(bytes1(0x01), left, right))` at 40 % of its price, which decides what a long
    /// proof costs. The 65 bytes lie above what the free memory pointer shows and are not kept. SHA-256 is
    /// the precompile at address 2; it fails for want of gas only, and then everything does.
    /// @param left Hash of the left subtree.
    /// @param right Hash of the right subtree.
    /// @return hash The hash of the parent.
    function nodeHash(bytes32 left, bytes32 right) internal view returns (bytes32 hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(free, 0x01)
            mstore(add(free, 0x01), left)
            mstore(add(free, 0x21), right)
            if iszero(staticcall(gas(), 0x02, free, 0x41, 0x00, 0x20)) { revert(0x00, 0x00) }
            hash := mload(0x00)
        }
    }

    /// @notice Tells whether a leaf stands at an index of a tree (RFC 9162, 2.1.3.2).
    /// @param leaf Leaf hash.
    /// @param leafIndex Index of the leaf, from 0.
    /// @param size Number of leaves of the tree.
    /// @param root Root hash of the tree.
    /// @param proof Sibling hashes from the leaf upwards.
    /// @return Whether the proof leads exactly to `root`.
    function isIncluded(bytes32 leaf, uint64 leafIndex, uint64 size, bytes32 root, bytes32[] calldata proof)
        internal
        view
        returns (bool)
    {
        if (leafIndex >= size) return false;
        uint256 node = leafIndex;
        uint256 last = size - 1;
        bytes32 hash = leaf;
        for (uint256 i = 0; i < proof.length; ++i) {
            if (last == 0) return false;
            if (node & 1 == 1 || node == last) {
                hash = nodeHash(proof[i], hash);
                (node, last) = _skipLoneLevels(node, last);
            } else {
                hash = nodeHash(hash, proof[i]);
            }
            node >>= 1;
            last >>= 1;
        }
        return last == 0 && hash == root;
    }

    /// @notice Tells whether a tree is an extension of an older one (RFC 9162, 2.1.4.2).
    /// @param oldSize Number of leaves of the older tree.
    /// @param oldRoot Root hash of the older tree; ignored for size 0.
    /// @param newSize Number of leaves of the newer tree.
    /// @param newRoot Root hash of the newer tree.
    /// @param proof Node hashes as RFC 9162 orders them; empty from size 0 and between equal sizes.
    /// @return Whether the newer tree begins with exactly the leaves of the older one.
    function isConsistent(uint64 oldSize, bytes32 oldRoot, uint64 newSize, bytes32 newRoot, bytes32[] calldata proof)
        internal
        view
        returns (bool)
    {
        if (oldSize > newSize) return false;
        if (oldSize == 0) return proof.length == 0;
        if (oldSize == newSize) return proof.length == 0 && oldRoot == newRoot;

        // The largest complete subtree that ends with the older tree's last leaf: its number of leaves, its index
        // in its level, and the index of the last node there.
        uint256 width = oldSize & (~oldSize + 1);
        uint256 node = oldSize / width - 1;
        uint256 last = (newSize - 1) / width;
        // A complete older tree (a power of two) is this subtree, so that the proof leaves it out.
        uint256 next = _offset(proof, 0);
        bytes32 start = oldRoot;
        if (node != 0) {
            if (proof.length == 0) return false;
            start = proof[0];
            next = _offset(proof, 1);
        }
        (bytes32 oldEnd, bytes32 newEnd, uint256 end) = _climbBoth(node, last, start, next);
        return end == _offset(proof, proof.length) && oldEnd == oldRoot && newEnd == newRoot;
    }

    /// @dev Where in the calldata a hash of a proof stands; behind the last one for its length.
    /// @param proof The proof.
    /// @param i Which hash.
    /// @return offset Its place.
    function _offset(bytes32[] calldata proof, uint256 i) private pure returns (uint256 offset) {
        assembly ("memory-safe") {
            offset := add(proof.offset, shl(5, i))
        }
    }

    /// @dev Rises from one node to the roots of both trees. This is what a consistency proof costs, two hashes for
    /// each sibling on the left, hence the assembly. A sibling on the right is younger than the older tree and
    /// counts for the newer one alone. Once the node is the last of its level all siblings are on the left, one for
    /// each bit of its index; levels without a sibling are passed by with the zeros.
    ///
    /// The sizes say how many hashes are read, at most 64, wherever the proof ends: the caller compares the ends.
    /// SHA-256 is the precompile at address 2. It fails for want of gas only, and gas only falls: if the last call
    /// returned its 32 bytes, all did.
    /// @param node Index of the node in its level.
    /// @param last Index of the last node in that level.
    /// @param hash The node.
    /// @param next Where in the calldata the siblings stand, from below upwards.
    /// @return oldRoot Where the climb ends in the older tree.
    /// @return newRoot Where the climb ends in the newer tree.
    /// @return end Where in the calldata the siblings end.
    function _climbBoth(uint256 node, uint256 last, bytes32 hash, uint256 next)
        private
        view
        returns (bytes32 oldRoot, bytes32 newRoot, uint256 end)
    {
        assembly ("memory-safe") {
            // For each tree 65 bytes above what the free memory pointer shows, which are not kept: 0x01, left and
            // right child. The hash so far is the right child, and the precompile writes the next one there.
            let oldPair := mload(0x40)
            let oldLeft := add(oldPair, 0x01)
            let oldHash := add(oldPair, 0x21)
            let newPair := add(oldPair, 0x60)
            let newLeft := add(newPair, 0x01)
            let newHash := add(newPair, 0x21)
            mstore8(oldPair, 0x01)
            mstore8(newPair, 0x01)
            mstore(oldHash, hash)
            mstore(newHash, hash)
            for {} xor(node, last) {} {
                hash := calldataload(next)
                switch and(node, 1)
                case 0 {
                    mstore(newLeft, mload(newHash))
                    mstore(newHash, hash)
                }
                default {
                    mstore(oldLeft, hash)
                    mstore(newLeft, hash)
                    pop(staticcall(gas(), 0x02, oldPair, 0x41, oldHash, 0x20))
                }
                pop(staticcall(gas(), 0x02, newPair, 0x41, newHash, 0x20))
                next := add(next, 0x20)
                node := shr(1, node)
                last := shr(1, last)
            }
            for {} node { node := and(node, sub(node, 1)) } {
                hash := calldataload(next)
                mstore(oldLeft, hash)
                mstore(newLeft, hash)
                pop(staticcall(gas(), 0x02, oldPair, 0x41, oldHash, 0x20))
                pop(staticcall(gas(), 0x02, newPair, 0x41, newHash, 0x20))
                next := add(next, 0x20)
            }
            if iszero(eq(returndatasize(), 0x20)) { revert(0x00, 0x00) }
            oldRoot := mload(oldHash)
            newRoot := mload(newHash)
            end := next
        }
    }

    /// @dev On the right edge a node without a sibling rises unchanged; skips those levels.
    /// @param node Index of the current node in its level.
    /// @param last Index of the last node in that level.
    /// @return Both indexes on the level where the node is a right child, or 0.
    function _skipLoneLevels(uint256 node, uint256 last) private pure returns (uint256, uint256) {
        while (node & 1 == 0 && node != 0) {
            node >>= 1;
            last >>= 1;
        }
        return (node, last);
    }
}
