// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev RFC 9162 trees by their recursive definition (2.1.1, 2.1.3.1, 2.1.4.1): slow, and written
/// unlike the verifier under test. Leaves are leaf hashes.
library Tree {
    function leaves(uint256 seed, uint256 count) internal pure returns (bytes32[] memory list) {
        list = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = sha256(abi.encodePacked(uint8(0), seed, i));
        }
    }

    function root(bytes32[] memory list, uint256 size) internal pure returns (bytes32) {
        return root(list, 0, size);
    }

    function root(bytes32[] memory list, uint256 from, uint256 to) internal pure returns (bytes32) {
        if (to - from == 1) return list[from];
        uint256 middle = from + split(to - from);
        return node(root(list, from, middle), root(list, middle, to));
    }

    function inclusion(bytes32[] memory list, uint256 index, uint256 size) internal pure returns (bytes32[] memory) {
        return path(list, index, 0, size);
    }

    function consistency(bytes32[] memory list, uint256 oldSize, uint256 newSize)
        internal
        pure
        returns (bytes32[] memory)
    {
        if (oldSize == 0 || oldSize == newSize) return new bytes32[](0);
        return subProof(list, oldSize, 0, newSize, true);
    }

    /// @dev A consistency proof of invented nodes and the two roots that it proves (RFC 9162, 2.1.4.2), for trees
    /// that are too large to be built. The older one is no complete tree.
    function invent(uint256 oldSize, uint256 newSize)
        internal
        pure
        returns (bytes32[] memory proof, bytes32 oldRoot, bytes32 newRoot)
    {
        bytes32[] memory nodes = leaves(1, 65);
        oldRoot = newRoot = nodes[0];
        uint256 used = 1;
        (uint256 fn, uint256 sn) = (oldSize - 1, newSize - 1);
        for (; fn & 1 == 1; fn >>= 1) {
            sn >>= 1;
        }
        for (; sn != 0; sn >>= 1) {
            if (fn & 1 == 1 || fn == sn) {
                oldRoot = node(nodes[used], oldRoot);
                newRoot = node(nodes[used], newRoot);
                for (; fn & 1 == 0 && fn != 0; fn >>= 1) {
                    sn >>= 1;
                }
            } else {
                newRoot = node(newRoot, nodes[used]);
            }
            ++used;
            fn >>= 1;
        }
        proof = new bytes32[](used);
        for (uint256 i = 0; i < used; ++i) {
            proof[i] = nodes[i];
        }
    }

    /// @dev How many node hashes a verifier computes for a consistency proof (RFC 9162, 2.1.4.2).
    function consistencyHashes(uint256 oldSize, uint256 newSize) internal pure returns (uint256 hashes) {
        unchecked {
            (uint256 fn, uint256 sn) = (oldSize - 1, newSize - 1);
            while (fn & 1 == 1) (fn, sn) = (fn >> 1, sn >> 1);
            for (; sn != 0; sn >>= 1) {
                if (fn & 1 == 1 || fn == sn) {
                    hashes += 2;
                    while (fn & 1 == 0 && fn != 0) (fn, sn) = (fn >> 1, sn >> 1);
                } else {
                    ++hashes;
                }
                fn >>= 1;
            }
        }
    }

    function path(bytes32[] memory list, uint256 index, uint256 from, uint256 to)
        private
        pure
        returns (bytes32[] memory)
    {
        if (to - from == 1) return new bytes32[](0);
        uint256 middle = from + split(to - from);
        if (index < middle) return append(path(list, index, from, middle), root(list, middle, to));
        return append(path(list, index, middle, to), root(list, from, middle));
    }

    function subProof(bytes32[] memory list, uint256 oldTo, uint256 from, uint256 to, bool whole)
        private
        pure
        returns (bytes32[] memory)
    {
        if (oldTo == to) {
            return whole ? new bytes32[](0) : append(new bytes32[](0), root(list, from, to));
        }
        uint256 middle = from + split(to - from);
        if (oldTo <= middle) return append(subProof(list, oldTo, from, middle, whole), root(list, middle, to));
        return append(subProof(list, oldTo, middle, to, false), root(list, from, middle));
    }

    function split(uint256 size) private pure returns (uint256 power) {
        power = 1;
        while (power * 2 < size) power *= 2;
    }

    function node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(1), left, right));
    }

    function append(bytes32[] memory list, bytes32 item) private pure returns (bytes32[] memory longer) {
        longer = new bytes32[](list.length + 1);
        for (uint256 i = 0; i < list.length; ++i) {
            longer[i] = list[i];
        }
        longer[list.length] = item;
    }
}
