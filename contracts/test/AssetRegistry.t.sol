// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AssetRegistry} from "../src/AssetRegistry.sol";
import {TestBase} from "./Vm.sol";

contract AssetRegistryTest is TestBase {
    address private constant _REGISTRAR = address(0xA2);
    bytes32 private constant _ID = bytes32(uint256(0x1111 << 240));

    AssetRegistry private _registry;

    function setUp() public {
        _registry = new AssetRegistry(ADMIN);
        vm.startPrank(ADMIN);
        _registry.grantRole(_registry.REGISTRAR_ROLE(), _REGISTRAR);
        _registry.grantRole(_registry.PAUSER_ROLE(), PAUSER);
        vm.stopPrank();
    }

    function testFuzz_ARegisteredRecordReadsBackUnchanged(AssetRegistry.Asset memory record) public {
        record = _valid(record);
        vm.expectEmit(address(_registry));
        emit AssetRegistry.AssetRegistered(record.assetId, record);
        _register(record);
        vm.assertEq(abi.encode(_registry.asset(record.assetId)), abi.encode(record));
        vm.assertEq(_registry.assetCount(), 1);
    }

    function test_AKnownAssetIsUpdatedAndCountedOnce() public {
        AssetRegistry.Asset memory record = _public(_ID);
        _register(record);
        record.status = 2;
        record.priceMicroPerKwh = 420_000;
        vm.expectEmit(address(_registry));
        emit AssetRegistry.AssetUpdated(_ID, record);
        _register(record);
        vm.assertEq(_registry.assetCount(), 1);
        vm.assertEq(abi.encode(_registry.asset(_ID)), abi.encode(record));
    }

    function test_ABatchCountsEachAssetOnce() public {
        AssetRegistry.Asset[] memory batch = new AssetRegistry.Asset[](3);
        batch[0] = _public(_ID);
        batch[1] = _public(bytes32(uint256(0x2222 << 240)));
        batch[2] = _public(_ID);
        vm.prank(_REGISTRAR);
        _registry.registerBatch(batch);
        vm.assertEq(_registry.assetCount(), 2);
    }

    function test_OneBadRecordRefusesTheWholeBatch() public {
        AssetRegistry.Asset[] memory batch = new AssetRegistry.Asset[](2);
        batch[0] = _public(_ID);
        batch[1] = _public(bytes32(0));
        vm.expectRevert(abi.encodeWithSelector(AssetRegistry.AssetIdIsZero.selector));
        vm.prank(_REGISTRAR);
        _registry.registerBatch(batch);
        vm.assertEq(_registry.assetCount(), 0);
    }

    function test_APrivateAssetMustHideItsPosition() public {
        AssetRegistry.Asset memory record = _private(_ID);
        record.latitudeE7 = 1;
        _refuse(record, abi.encodeWithSelector(AssetRegistry.AssetPrivateHasPosition.selector, _ID));
        record.latitudeE7 = 0;
        record.longitudeE7 = -1;
        _refuse(record, abi.encodeWithSelector(AssetRegistry.AssetPrivateHasPosition.selector, _ID));
    }

    function test_APrivateAssetMustCommitToItsRecord() public {
        AssetRegistry.Asset memory record = _private(_ID);
        record.commitment = bytes32(0);
        _refuse(record, abi.encodeWithSelector(AssetRegistry.AssetPrivateLacksCommitment.selector, _ID));
    }

    function test_APublicAssetThatBecomesPrivateLosesItsPosition() public {
        _register(_public(_ID));
        _register(_private(_ID));
        vm.assertFalse(_registry.asset(_ID).isPublic);
        vm.assertTrue(_registry.asset(_ID).latitudeE7 == 0);
    }

    function test_AnUnknownKindIsRefused() public {
        AssetRegistry.Asset memory record = _public(_ID);
        record.kind = 0;
        _refuse(record, abi.encodeWithSelector(AssetRegistry.AssetKindUnknown.selector, _ID, 0));
        record.kind = 5;
        _refuse(record, abi.encodeWithSelector(AssetRegistry.AssetKindUnknown.selector, _ID, 5));
    }

    function test_AnAssetCannotFeedItself() public {
        AssetRegistry.Asset memory record = _public(_ID);
        record.parentId = _ID;
        _refuse(record, abi.encodeWithSelector(AssetRegistry.AssetParentIsSelf.selector, _ID));
    }

    function test_APositionOutsideTheGlobeIsRefused() public {
        int32[2][4] memory outside =
            [[int32(900_000_001), 0], [int32(-900_000_001), 0], [int32(0), 1_800_000_001], [int32(0), -1_800_000_001]];
        for (uint256 i = 0; i < outside.length; ++i) {
            AssetRegistry.Asset memory record = _public(_ID);
            (record.latitudeE7, record.longitudeE7) = (outside[i][0], outside[i][1]);
            _refuse(
                record,
                abi.encodeWithSelector(
                    AssetRegistry.AssetPositionOutOfRange.selector, _ID, outside[i][0], outside[i][1]
                )
            );
        }
    }

    function test_AnUnknownPositionIsToldFromEveryOther() public {
        int32 none = _registry.NO_POSITION();
        AssetRegistry.Asset memory record = _public(_ID);
        (record.latitudeE7, record.longitudeE7) = (none, none);
        _register(record);
        vm.assertTrue(_registry.asset(_ID).latitudeE7 == none && _registry.asset(_ID).longitudeE7 == none);
        vm.assertEq(_registry.assetIdOfRef(bytes4(_ID)), _ID);
        (record.latitudeE7, record.longitudeE7) = (0, 0);
        _register(record);
        vm.assertTrue(_registry.asset(_ID).latitudeE7 == 0 && _registry.asset(_ID).longitudeE7 == 0);
    }

    function test_HalfAPositionIsRefused() public {
        int32 none = _registry.NO_POSITION();
        AssetRegistry.Asset memory record = _public(_ID);
        record.latitudeE7 = none;
        _refuse(
            record,
            abi.encodeWithSelector(AssetRegistry.AssetPositionOutOfRange.selector, _ID, none, record.longitudeE7)
        );
        (record.latitudeE7, record.longitudeE7) = (1, none);
        _refuse(record, abi.encodeWithSelector(AssetRegistry.AssetPositionOutOfRange.selector, _ID, 1, none));
        record = _private(_ID);
        (record.latitudeE7, record.longitudeE7) = (none, none);
        _refuse(record, abi.encodeWithSelector(AssetRegistry.AssetPrivateHasPosition.selector, _ID));
    }

    function test_TheCornersOfTheGlobeAreAccepted() public {
        AssetRegistry.Asset memory record = _public(_ID);
        (record.latitudeE7, record.longitudeE7) = (900_000_000, 1_800_000_000);
        _register(record);
        (record.latitudeE7, record.longitudeE7) = (-900_000_000, -1_800_000_000);
        _register(record);
        vm.assertTrue(_registry.asset(_ID).longitudeE7 == -1_800_000_000);
    }

    function test_TwoPublicAssetsCannotShareAStatusReference() public {
        bytes32 twin = _ID | bytes32(uint256(1));
        _register(_public(_ID));
        vm.assertEq(_registry.assetIdOfRef(bytes4(_ID)), _ID);
        _refuse(_public(twin), abi.encodeWithSelector(AssetRegistry.AssetRefTaken.selector, twin, _ID));
        _register(_private(twin));
        vm.assertEq(_registry.assetIdOfRef(bytes4(_ID)), _ID);
    }

    function test_AnUnknownAssetCannotBeRead() public {
        vm.expectRevert(abi.encodeWithSelector(AssetRegistry.AssetUnknown.selector, _ID));
        _registry.asset(_ID);
    }

    function test_AStrangerCannotRegister() public {
        AssetRegistry.Asset[] memory batch = new AssetRegistry.Asset[](0);
        expectMissingRole(STRANGER, _registry.REGISTRAR_ROLE());
        vm.prank(STRANGER);
        _registry.registerBatch(batch);
    }

    function test_APausedRegistryRefusesAndStillReads() public {
        _register(_public(_ID));
        vm.prank(PAUSER);
        _registry.pause();
        _refuse(_public(_ID), abi.encodeWithSignature("EnforcedPause()"));
        vm.assertEq(_registry.asset(_ID).assetId, _ID);
    }

    function _valid(AssetRegistry.Asset memory record) private pure returns (AssetRegistry.Asset memory) {
        if (record.assetId == bytes32(0)) record.assetId = _ID;
        if (record.parentId == record.assetId) record.parentId = bytes32(0);
        record.kind = 1 + record.kind % 4;
        if (record.isPublic) {
            record.latitudeE7 = record.latitudeE7 % 900_000_001;
            record.longitudeE7 = record.longitudeE7 % 1_800_000_001;
        } else {
            (record.latitudeE7, record.longitudeE7) = (0, 0);
            if (record.commitment == bytes32(0)) record.commitment = _ID;
        }
        return record;
    }

    function _public(bytes32 assetId) private pure returns (AssetRegistry.Asset memory record) {
        record.assetId = assetId;
        record.kind = 1;
        record.status = 1;
        record.isPublic = true;
        record.latitudeE7 = 525_200_000;
        record.longitudeE7 = 134_050_000;
        record.ratedPowerW = 22_000;
        record.owner = address(0x0E);
    }

    function _private(bytes32 assetId) private pure returns (AssetRegistry.Asset memory record) {
        record.assetId = assetId;
        record.kind = 1;
        record.commitment = keccak256("salted record");
    }

    function _register(AssetRegistry.Asset memory record) private {
        AssetRegistry.Asset[] memory batch = new AssetRegistry.Asset[](1);
        batch[0] = record;
        vm.prank(_REGISTRAR);
        _registry.registerBatch(batch);
    }

    function _refuse(AssetRegistry.Asset memory record, bytes memory reason) private {
        vm.expectRevert(reason);
        _register(record);
    }
}
