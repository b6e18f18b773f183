// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Stoppable} from "./Stoppable.sol";

/// @title AssetRegistry (SC1)
/// @notice Charge points, PV inverters, batteries and cabinets with what the public may know of them.
/// @dev A private asset (a charger at a home) must show no position and commit to its record instead:
/// what is public once cannot be erased. An asset that becomes private hides its position from then
/// on; its past stays in the chain's history.
/// @custom:kill PAUSER_ROLE calls `pause()`: no further registration or update. Reading stays open.
contract AssetRegistry is Stoppable {
    /// @notice What is known of one asset.
    /// @param assetId Identifier, chosen off chain; never zero.
    /// @param kind 1 charge point, 2 PV inverter, 3 battery, 4 cabinet.
    /// @param status 0 unknown, 1 in service, 2 out of service, 3 retired, 4 planned; not interpreted here.
    /// @param isPublic Whether position and status may be published.
    /// @param latitudeE7 WGS 84 latitude in 1e-7 degrees; NO_POSITION if it is not known, 0 for a private asset.
    /// @param longitudeE7 WGS 84 longitude in 1e-7 degrees; NO_POSITION if it is not known, 0 for a private asset.
    /// @param ratedPowerW Rated power in W.
    /// @param priceMicroPerKwh Energy price in millionths of the currency unit for each kWh.
    /// @param capacityMilliWh Usable energy of a battery in mWh; 0 for the others.
    /// @param parentId The cabinet that feeds the asset; 0 for none. It may be registered later.
    /// @param owner Account of the owner; may be zero.
    /// @param commitment Salted hash of the full record; required for a private asset.
    struct Asset {
        bytes32 assetId;
        uint8 kind;
        uint8 status;
        bool isPublic;
        int32 latitudeE7;
        int32 longitudeE7;
        uint32 ratedPowerW;
        uint32 priceMicroPerKwh;
        uint64 capacityMilliWh;
        bytes32 parentId;
        address owner;
        bytes32 commitment;
    }

    /// @notice May register and update assets.
    bytes32 public constant REGISTRAR_ROLE = keccak256("REGISTRAR_ROLE");
    /// @notice Both coordinates of a public asset whose position is not known; far outside of WGS 84.
    int32 public constant NO_POSITION = type(int32).min;

    uint8 private constant _KIND_LAST = 4;
    int32 private constant _LATITUDE_MAX_E7 = 90e7;
    int32 private constant _LONGITUDE_MAX_E7 = 180e7;

    /// @notice Number of assets ever registered.
    uint256 public assetCount;
    /// @notice The public asset that a packed status record means by its four byte reference.
    mapping(bytes4 ref => bytes32 assetId) public assetIdOfRef;
    mapping(bytes32 assetId => Asset) private _assets;

    /// @notice An asset was registered.
    /// @param assetId Its identifier.
    /// @param asset Its record.
    event AssetRegistered(bytes32 indexed assetId, Asset asset);

    /// @notice The record of a registered asset was replaced.
    /// @param assetId Its identifier.
    /// @param asset Its new record.
    event AssetUpdated(bytes32 indexed assetId, Asset asset);

    /// @notice The identifier is zero.
    error AssetIdIsZero();
    /// @notice The kind is none of 1 to 4.
    /// @param assetId The asset.
    /// @param kind The kind offered.
    error AssetKindUnknown(bytes32 assetId, uint8 kind);
    /// @notice The position lies outside of WGS 84.
    /// @param assetId The asset.
    /// @param latitudeE7 The latitude offered.
    /// @param longitudeE7 The longitude offered.
    error AssetPositionOutOfRange(bytes32 assetId, int32 latitudeE7, int32 longitudeE7);
    /// @notice A private asset came with a position.
    /// @param assetId The asset.
    error AssetPrivateHasPosition(bytes32 assetId);
    /// @notice A private asset came without a commitment to its record.
    /// @param assetId The asset.
    error AssetPrivateLacksCommitment(bytes32 assetId);
    /// @notice An asset names itself as its parent.
    /// @param assetId The asset.
    error AssetParentIsSelf(bytes32 assetId);
    /// @notice Another public asset has the same first four bytes, so packed status would be ambiguous.
    /// @param assetId The asset.
    /// @param takenBy The asset that holds the reference.
    error AssetRefTaken(bytes32 assetId, bytes32 takenBy);
    /// @notice No such asset is registered.
    /// @param assetId The identifier asked for.
    error AssetUnknown(bytes32 assetId);

    /// @param admin Holder of DEFAULT_ADMIN_ROLE.
    constructor(address admin) Stoppable(admin) {}

    /// @notice Registers new assets and replaces the records of known ones, all or none.
    /// @param assets The records.
    function registerBatch(Asset[] calldata assets) external onlyRole(REGISTRAR_ROLE) whenNotPaused {
        uint256 added = 0;
        for (uint256 i = 0; i < assets.length; ++i) {
            Asset calldata record = assets[i];
            _check(record);
            if (record.isPublic) _claimRef(record.assetId);
            bool isNew = _assets[record.assetId].kind == 0;
            _assets[record.assetId] = record;
            if (isNew) {
                ++added;
                emit AssetRegistered(record.assetId, record);
            } else {
                emit AssetUpdated(record.assetId, record);
            }
        }
        assetCount += added;
    }

    /// @notice The record of an asset; reverts for an unknown one.
    /// @param assetId Its identifier.
    /// @return The record.
    function asset(bytes32 assetId) external view returns (Asset memory) {
        Asset memory record = _assets[assetId];
        if (record.kind == 0) revert AssetUnknown(assetId);
        return record;
    }

    /// @dev Gives an asset its four byte reference, once.
    /// @param assetId The asset.
    function _claimRef(bytes32 assetId) private {
        bytes4 ref = bytes4(assetId);
        bytes32 takenBy = assetIdOfRef[ref];
        if (takenBy == assetId) return;
        if (takenBy != bytes32(0)) revert AssetRefTaken(assetId, takenBy);
        assetIdOfRef[ref] = assetId;
    }

    /// @dev Refuses a record that breaks a rule.
    /// @param record The record offered.
    function _check(Asset calldata record) private pure {
        bytes32 assetId = record.assetId;
        if (assetId == bytes32(0)) revert AssetIdIsZero();
        if (record.kind == 0 || record.kind > _KIND_LAST) revert AssetKindUnknown(assetId, record.kind);
        if (record.parentId == assetId) revert AssetParentIsSelf(assetId);
        int32 latitudeE7 = record.latitudeE7;
        int32 longitudeE7 = record.longitudeE7;
        if (!record.isPublic) {
            if (latitudeE7 != 0 || longitudeE7 != 0) revert AssetPrivateHasPosition(assetId);
            if (record.commitment == bytes32(0)) revert AssetPrivateLacksCommitment(assetId);
        } else if (latitudeE7 == NO_POSITION && longitudeE7 == NO_POSITION) {
            return;
        } else if (
            latitudeE7 < -_LATITUDE_MAX_E7 || latitudeE7 > _LATITUDE_MAX_E7 || longitudeE7 < -_LONGITUDE_MAX_E7
                || longitudeE7 > _LONGITUDE_MAX_E7
        ) {
            revert AssetPositionOutOfRange(assetId, latitudeE7, longitudeE7);
        }
    }
}
