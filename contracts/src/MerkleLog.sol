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
        if (proof.length == 0) return false;

        uint256 node = oldSize - 1;
        uint256 last = newSize - 1;
        while (node & 1 == 1) {
            node >>= 1;
            last >>= 1;
        }
        // A complete older tree (a power of two) is itself the first node, so the proof leaves it out.
        uint256 next = oldSize & (oldSize - 1) == 0 ? 0 : 1;
        bytes32 oldHash = next == 0 ? oldRoot : proof[0];
        bytes32 newHash = oldHash;
        for (; next < proof.length; ++next) {
            if (last == 0) return false;
            bytes32 sibling = proof[next];
            if (node & 1 == 1 || node == last) {
                oldHash = nodeHash(sibling, oldHash);
                newHash = nodeHash(sibling, newHash);
                (node, last) = _skipLoneLevels(node, last);
            } else {
                newHash = nodeHash(newHash, sibling);
            }
            node >>= 1;
            last >>= 1;
        }
        return last == 0 && oldHash == oldRoot && newHash == newRoot;
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
