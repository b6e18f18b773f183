// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title LeafBook
/// @notice Remembers which start leaves are settled, so that each is settled in one way only and once.
/// @dev A session is settled alone (one bit for its start leaf) or inside a window. Windows follow each
/// other without gap or overlap and close every start leaf they span but those they name as open
/// (sessions that still run, bills that wait). A leaf named as open can be settled alone or be listed in
/// a later window. Listed leaves are checked against those settled alone, at one read each, which is
/// what keeps netting cheap although start leaves lie far apart.
/// @custom:kill Abstract: stopped with the contract that uses it.
abstract contract LeafBook {
    /// @notice Start leaves below this index are closed, but those left open.
    uint64 public closedBefore;
    /// @notice Keccak-256 of what a window was closed with, by its first leaf; zero when there is none.
    mapping(uint64 fromLeaf => bytes32 content) public windowContent;
    mapping(uint256 word => uint256 bits) private _settledAlone;
    mapping(uint256 word => uint256 bits) private _leftOpen;

    /// @notice The window does not begin where the one before it ended, or is empty.
    /// @param closedBefore Where it has to begin.
    /// @param fromLeaf Its first start leaf.
    /// @param toLeaf The first start leaf after it.
    error WindowNotNext(uint64 closedBefore, uint64 fromLeaf, uint64 toLeaf);
    /// @notice The leaves of a list do not rise, lie outside of the window, or one is in both lists.
    /// @param leaf The leaf at fault.
    error WindowLeafMisplaced(uint64 leaf);
    /// @notice A listed leaf is settled already, alone or in an earlier window.
    /// @param leaf The leaf at fault.
    error WindowLeafSettled(uint64 leaf);

    /// @notice Tells whether a session that starts at a leaf was settled alone.
    /// @param startLeafIndex Index of the start leaf.
    /// @return Whether it was.
    function isStartLeafSettled(uint64 startLeafIndex) public view returns (bool) {
        return _settledAlone[startLeafIndex >> 8] & _bit(startLeafIndex) != 0;
    }

    /// @notice Tells whether a window closed a start leaf to settlement of its own.
    /// @param startLeafIndex Index of the start leaf.
    /// @return Whether one did.
    function isStartLeafClosed(uint64 startLeafIndex) public view returns (bool) {
        return startLeafIndex < closedBefore && !_isLeftOpen(startLeafIndex);
    }

    /// @dev Marks a leaf as settled alone; the caller has made sure that it may be.
    /// @param startLeafIndex Index of the start leaf.
    function _settleAlone(uint64 startLeafIndex) internal {
        _settledAlone[startLeafIndex >> 8] |= _bit(startLeafIndex);
    }

    /// @dev Closes the next window, or recognizes one that is closed with the same content.
    /// @param fromLeaf Its first start leaf.
    /// @param toLeaf The first start leaf after it.
    /// @param listed Start leaves that are settled by it, rising; older ones must have been left open.
    /// @param open Start leaves inside of it that stay open, rising.
    /// @param content Keccak-256 of all that it says; not zero.
    /// @return Whether it is new.
    function _closeWindow(
        uint64 fromLeaf,
        uint64 toLeaf,
        uint64[] calldata listed,
        uint64[] calldata open,
        bytes32 content
    ) internal returns (bool) {
        if (windowContent[fromLeaf] == content) return false;
        if (fromLeaf != closedBefore || toLeaf <= fromLeaf) revert WindowNotNext(closedBefore, fromLeaf, toLeaf);
        windowContent[fromLeaf] = content;
        closedBefore = toLeaf;
        _takeListed(fromLeaf, toLeaf, listed);
        _leaveOpen(fromLeaf, toLeaf, listed, open);
        return true;
    }

    /// @dev Checks the leaves that a window settles.
    /// @param fromLeaf Its first start leaf.
    /// @param toLeaf The first start leaf after it.
    /// @param listed The leaves.
    function _takeListed(uint64 fromLeaf, uint64 toLeaf, uint64[] calldata listed) private {
        for (uint256 i = 0; i < listed.length; ++i) {
            uint64 leaf = listed[i];
            if (leaf >= toLeaf || (i != 0 && leaf <= listed[i - 1])) revert WindowLeafMisplaced(leaf);
            if (isStartLeafSettled(leaf)) revert WindowLeafSettled(leaf);
            if (leaf < fromLeaf) {
                if (!_isLeftOpen(leaf)) revert WindowLeafSettled(leaf);
                _leftOpen[leaf >> 8] &= ~_bit(leaf);
            }
        }
    }

    /// @dev Notes the leaves that a window does not close.
    /// @param fromLeaf Its first start leaf.
    /// @param toLeaf The first start leaf after it.
    /// @param listed The leaves that it settles.
    /// @param open The leaves.
    function _leaveOpen(uint64 fromLeaf, uint64 toLeaf, uint64[] calldata listed, uint64[] calldata open) private {
        uint256 next = 0;
        for (uint256 i = 0; i < open.length; ++i) {
            uint64 leaf = open[i];
            if (leaf < fromLeaf || leaf >= toLeaf || (i != 0 && leaf <= open[i - 1])) revert WindowLeafMisplaced(leaf);
            while (next < listed.length && listed[next] < leaf) ++next;
            if (next < listed.length && listed[next] == leaf) revert WindowLeafMisplaced(leaf);
            _leftOpen[leaf >> 8] |= _bit(leaf);
        }
    }

    /// @dev Tells whether a window left a leaf open.
    /// @param leaf Index of the leaf.
    /// @return Whether one did.
    function _isLeftOpen(uint64 leaf) private view returns (bool) {
        return _leftOpen[leaf >> 8] & _bit(leaf) != 0;
    }

    /// @dev The bit of a leaf in its word of 256.
    /// @param leaf Index of the leaf.
    /// @return The bit.
    function _bit(uint64 leaf) private pure returns (uint256) {
        return 1 << (leaf & 0xff);
    }
}
