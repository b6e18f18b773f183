// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Stoppable} from "./Stoppable.sol";

/// @title AlgorithmRegistry
/// @notice Names each released optimizer by hash, so that a plan can be checked against its code.
/// @dev An entry never changes. A correction is a new release under a new identifier.
/// @custom:kill PAUSER_ROLE calls `pause()`: no further release. Reading stays open.
contract AlgorithmRegistry is Stoppable {
    /// @notice One release.
    /// @param version Version of the release.
    /// @param wheelSha256 SHA-256 of the reproducible wheel; never zero.
    /// @param sourceSha256 SHA-256 of the source archive.
    /// @param environmentSha256 SHA-256 of the lock file it was released with.
    /// @param activeFrom From when plans may name it, in Unix seconds.
    /// @param publishedAt Block time of the publication, in Unix seconds.
    /// @param uri Where the wheel can be had.
    struct Algorithm {
        string version;
        bytes32 wheelSha256;
        bytes32 sourceSha256;
        bytes32 environmentSha256;
        uint64 activeFrom;
        uint64 publishedAt;
        string uri;
    }

    /// @notice May publish releases.
    bytes32 public constant PUBLISHER_ROLE = keccak256("PUBLISHER_ROLE");

    /// @notice Number of published releases.
    uint256 public algorithmCount;
    mapping(bytes32 algorithmId => Algorithm) private _algorithms;

    /// @notice A release was published.
    /// @param algorithmId Its identifier.
    /// @param version Its version.
    /// @param wheelSha256 SHA-256 of the wheel.
    /// @param sourceSha256 SHA-256 of the source archive.
    /// @param environmentSha256 SHA-256 of the lock file.
    /// @param activeFrom From when plans may name it, in Unix seconds.
    /// @param uri Where the wheel can be had.
    event AlgorithmPublished(
        bytes32 indexed algorithmId,
        string version,
        bytes32 wheelSha256,
        bytes32 sourceSha256,
        bytes32 environmentSha256,
        uint64 activeFrom,
        string uri
    );

    /// @notice The identifier is zero.
    error AlgorithmIdIsZero();
    /// @notice The hash of the wheel is zero.
    /// @param algorithmId The identifier offered.
    error AlgorithmWheelIsZero(bytes32 algorithmId);
    /// @notice The identifier is taken, and entries never change.
    /// @param algorithmId The identifier offered.
    error AlgorithmAlreadyPublished(bytes32 algorithmId);
    /// @notice No such release is published.
    /// @param algorithmId The identifier asked for.
    error AlgorithmUnknown(bytes32 algorithmId);

    /// @param admin Holder of DEFAULT_ADMIN_ROLE.
    constructor(address admin) Stoppable(admin) {}

    /// @notice Publishes a release.
    /// @param algorithmId Identifier that plans name; never zero.
    /// @param version Version of the release.
    /// @param wheelSha256 SHA-256 of the reproducible wheel; never zero.
    /// @param sourceSha256 SHA-256 of the source archive.
    /// @param environmentSha256 SHA-256 of the lock file.
    /// @param activeFrom From when plans may name it, in Unix seconds.
    /// @param uri Where the wheel can be had.
    function publish(
        bytes32 algorithmId,
        string calldata version,
        bytes32 wheelSha256,
        bytes32 sourceSha256,
        bytes32 environmentSha256,
        uint64 activeFrom,
        string calldata uri
    ) external onlyRole(PUBLISHER_ROLE) whenNotPaused {
        if (algorithmId == bytes32(0)) revert AlgorithmIdIsZero();
        if (wheelSha256 == bytes32(0)) revert AlgorithmWheelIsZero(algorithmId);
        if (isPublished(algorithmId)) revert AlgorithmAlreadyPublished(algorithmId);
        Algorithm storage entry = _algorithms[algorithmId];
        entry.version = version;
        entry.wheelSha256 = wheelSha256;
        entry.sourceSha256 = sourceSha256;
        entry.environmentSha256 = environmentSha256;
        entry.activeFrom = activeFrom;
        entry.publishedAt = uint64(block.timestamp);
        entry.uri = uri;
        ++algorithmCount;
        emit AlgorithmPublished(algorithmId, version, wheelSha256, sourceSha256, environmentSha256, activeFrom, uri);
    }

    /// @notice A published release; reverts for an unknown one.
    /// @param algorithmId Its identifier.
    /// @return The release.
    function algorithm(bytes32 algorithmId) external view returns (Algorithm memory) {
        if (!isPublished(algorithmId)) revert AlgorithmUnknown(algorithmId);
        return _algorithms[algorithmId];
    }

    /// @notice Tells whether a release is published.
    /// @param algorithmId Its identifier.
    /// @return Whether it is.
    function isPublished(bytes32 algorithmId) public view returns (bool) {
        return _algorithms[algorithmId].wheelSha256 != bytes32(0);
    }
}
