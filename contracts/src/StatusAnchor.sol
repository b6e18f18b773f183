// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleLog} from "./MerkleLog.sol";
import {Stoppable} from "./Stoppable.sol";

/// @title StatusAnchor (SC2)
/// @notice Holds the newest head of the one append-only log and publishes packed status.
/// @dev Every new head must come with the RFC 9162 consistency proof from the head before it, so not
/// even the anchoring key can rewrite what was anchored. One call catches up any outage. Older heads
/// live in the `HeadAnchored` events.
///
/// Packed status: zero or more records of STATUS_RECORD_BYTES (13) bytes, big endian:
///   bytes  0..3   bytes4  ref     the first four bytes of the asset id (unique in AssetRegistry)
///   byte   4      uint8   state   the state code of the asset
///   bytes  5..8   int32   powerW  real-time power; positive draws from the cabinet, negative feeds in
///   bytes  9..12  uint32  limitW  limit in force; for a battery the energy available, in Wh
/// The contract checks the length only.
/// @custom:kill PAUSER_ROLE calls `pause()`: no further head or status. The last head stays readable.
contract StatusAnchor is Stoppable {
    /// @notice May anchor heads.
    bytes32 public constant ANCHORER_ROLE = keccak256("ANCHORER_ROLE");
    /// @notice Size of one packed status record.
    uint256 public constant STATUS_RECORD_BYTES = 13;

    uint64 private _size;
    uint64 private _anchoredAt;
    bytes32 private _root;

    /// @notice The log grew to a new head.
    /// @param size Number of leaves.
    /// @param root Root hash over them.
    /// @param statusHash SHA-256 of the packed status sent along; zero when there was none.
    event HeadAnchored(uint64 indexed size, bytes32 root, bytes32 statusHash);

    /// @notice The status of public assets was published together with a head.
    /// @param size Size of that head.
    /// @param packedStatus Records as laid out above.
    event StatusPublished(uint64 indexed size, bytes packedStatus);

    /// @notice The offered head does not grow the log.
    /// @param currentSize Size of the head in force.
    /// @param newSize Size offered.
    error AnchorSizeNotGrowing(uint64 currentSize, uint64 newSize);

    /// @notice The offered head is not proven to extend the head in force.
    /// @param currentSize Size of the head in force.
    /// @param newSize Size offered.
    error AnchorInconsistent(uint64 currentSize, uint64 newSize);

    /// @notice The root is zero, which no tree can have.
    error AnchorRootIsZero();

    /// @notice The packed status is not a whole number of records.
    /// @param lengthBytes Length offered.
    error AnchorStatusMisshapen(uint256 lengthBytes);

    /// @param admin Holder of DEFAULT_ADMIN_ROLE.
    constructor(address admin) Stoppable(admin) {}

    /// @notice Anchors a newer head of the log and publishes status.
    /// @param newSize Number of leaves; more than the head in force.
    /// @param newRoot Root hash of the log at that size.
    /// @param consistencyProof RFC 9162 proof from the head in force; empty for the first head.
    /// @param packedStatus Records as laid out above; may be empty.
    function anchor(uint64 newSize, bytes32 newRoot, bytes32[] calldata consistencyProof, bytes calldata packedStatus)
        external
        onlyRole(ANCHORER_ROLE)
        whenNotPaused
    {
        uint64 currentSize = _size;
        if (newSize <= currentSize) revert AnchorSizeNotGrowing(currentSize, newSize);
        if (newRoot == bytes32(0)) revert AnchorRootIsZero();
        if (packedStatus.length % STATUS_RECORD_BYTES != 0) revert AnchorStatusMisshapen(packedStatus.length);
        if (!MerkleLog.isConsistent(currentSize, _root, newSize, newRoot, consistencyProof)) {
            revert AnchorInconsistent(currentSize, newSize);
        }

        _size = newSize;
        _anchoredAt = uint64(block.timestamp);
        _root = newRoot;
        bool hasStatus = packedStatus.length != 0;
        emit HeadAnchored(newSize, newRoot, hasStatus ? sha256(packedStatus) : bytes32(0));
        if (hasStatus) emit StatusPublished(newSize, packedStatus);
    }

    /// @notice The head in force.
    /// @return size Number of leaves; 0 before the first anchor.
    /// @return root Root hash over them.
    /// @return anchoredAt Block time of the anchoring, in Unix seconds.
    function head() external view returns (uint64 size, bytes32 root, uint64 anchoredAt) {
        return (_size, _root, _anchoredAt);
    }

    /// @notice Tells whether a leaf stands in the log at the head in force.
    /// @param leafHash RFC 9162 leaf hash.
    /// @param leafIndex Index of the leaf, from 0.
    /// @param proof RFC 9162 inclusion proof for the size in force.
    /// @return Whether the proof holds.
    function isIncluded(bytes32 leafHash, uint64 leafIndex, bytes32[] calldata proof) external view returns (bool) {
        return MerkleLog.isIncluded(leafHash, leafIndex, _size, _root, proof);
    }
}
