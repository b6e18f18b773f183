// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AlgorithmRegistry} from "../src/AlgorithmRegistry.sol";
import {AssetRegistry} from "../src/AssetRegistry.sol";
import {DriverConsent} from "../src/DriverConsent.sol";
import {Escrow} from "../src/Escrow.sol";
import {FlexToken} from "../src/FlexToken.sol";
import {SettlementWindows} from "../src/SettlementWindows.sol";
import {Settlement} from "../src/Settlement.sol";
import {StatusAnchor} from "../src/StatusAnchor.sol";
import {Coin} from "./Coins.sol";
import {Tree} from "./Tree.sol";
import {TestBase} from "./Vm.sol";

/// @dev Prices the calls that production makes. Run with `--isolate` (`npm run gas`), so that each call
/// counts as a transaction of its own, with its base cost and its calldata.
contract GasTest is TestBase {
    string private constant _GROUP = "gas";

    FlexToken private _token;
    Settlement private _settlement;
    AssetRegistry private _registry;
    StatusAnchor private _anchor;
    AlgorithmRegistry private _algorithms;

    function setUp() public {
        _token = new FlexToken(address(this));
        _anchor = new StatusAnchor(address(this));
        _settlement = new Settlement(address(this), address(_token), address(_anchor));
        _registry = new AssetRegistry(address(this));
        _algorithms = new AlgorithmRegistry(address(this));
        _token.bindMinter(address(_settlement));
        _settlement.grantRole(_settlement.SETTLER_ROLE(), address(this));
        _registry.grantRole(_registry.REGISTRAR_ROLE(), address(this));
        _anchor.grantRole(_anchor.ANCHORER_ROLE(), address(this));
        _algorithms.grantRole(_algorithms.PUBLISHER_ROLE(), address(this));
    }

    function test_Deploy() public {
        vm.startSnapshotGas(_GROUP, "deploy StatusAnchor");
        new StatusAnchor(ADMIN);
        vm.stopSnapshotGas();
        vm.startSnapshotGas(_GROUP, "deploy AssetRegistry");
        new AssetRegistry(ADMIN);
        vm.stopSnapshotGas();
        vm.startSnapshotGas(_GROUP, "deploy FlexToken");
        FlexToken token = new FlexToken(ADMIN);
        vm.stopSnapshotGas();
        vm.startSnapshotGas(_GROUP, "deploy Settlement");
        Settlement settlement = new Settlement(ADMIN, address(token), address(_anchor));
        vm.stopSnapshotGas();
        vm.startSnapshotGas(_GROUP, "deploy Escrow");
        new Escrow(ADMIN, address(token), address(settlement), "EUR", 10_000);
        vm.stopSnapshotGas();
        vm.startSnapshotGas(_GROUP, "deploy AlgorithmRegistry");
        new AlgorithmRegistry(ADMIN);
        vm.stopSnapshotGas();
    }

    function test_Anchor() public {
        bytes32[] memory leaves = Tree.leaves(9, 200);
        _anchor.anchor(100, Tree.root(leaves, 100), new bytes32[](0), "");
        vm.snapshotGasLastCall(_GROUP, "anchor 1st head");
        _anchor.anchor(200, Tree.root(leaves, 200), Tree.consistency(leaves, 100, 200), "");
        vm.snapshotGasLastCall(_GROUP, "anchor 100 to 200 leaves");
    }

    /// @dev 1 000 leaves a step on a log that is well grown: the proof is long on both sides.
    function test_AnchorAThousandLeavesAStep() public {
        bytes32[] memory leaves = Tree.leaves(9, 21_000);
        _anchor.anchor(20_000, Tree.root(leaves, 20_000), new bytes32[](0), "");
        bytes32 root = Tree.root(leaves, 21_000);
        bytes32[] memory proof = Tree.consistency(leaves, 20_000, 21_000);
        _anchor.anchor(21_000, root, proof, "");
        vm.assertTrue(
            vm.snapshotGasLastCall(_GROUP, "anchor 20 000 to 21 000 leaves") <= 65_000,
            "anchor with proof, 1 000 leaves a step"
        );
    }

    /// @dev The same head from the same state, with and without status: the difference is the status alone.
    function test_StatusOfAHundredAssets() public {
        bytes32[] memory leaves = Tree.leaves(9, 300);
        bytes32 root = Tree.root(leaves, 300);
        bytes32[] memory proof = Tree.consistency(leaves, 200, 300);
        StatusAnchor other = new StatusAnchor(address(this));
        other.grantRole(other.ANCHORER_ROLE(), address(this));
        _anchor.anchor(200, Tree.root(leaves, 200), new bytes32[](0), "");
        other.anchor(200, Tree.root(leaves, 200), new bytes32[](0), "");
        _anchor.anchor(300, root, proof, "");
        uint256 without = vm.snapshotGasLastCall(_GROUP, "anchor 200 to 300 leaves");
        other.anchor(300, root, proof, _packed(100));
        uint256 with = vm.snapshotGasLastCall(_GROUP, "anchor 200 to 300 leaves with the status of 100 assets");
        vm.assertTrue(with - without <= 100 * 450, "status of 100 assets");
    }

    function test_SettleProven() public {
        bytes32[] memory leaves = Tree.leaves(9, 1000);
        _anchor.anchor(1000, Tree.root(leaves, 1000), new bytes32[](0), "");
        Settlement.SettlementRow[] memory rows = _rows(2, 0, 0);
        rows[0].leafHash = leaves[700];
        rows[1].leafHash = leaves[701];
        bytes32[] memory proof = Tree.inclusion(leaves, 700, 1000);
        _settlement.settleProven(rows[0], 700, proof);
        vm.snapshotGasLastCall(_GROUP, "settle 1 session with its proof, first");
        proof = Tree.inclusion(leaves, 701, 1000);
        _settlement.settleProven(rows[1], 701, proof);
        vm.snapshotGasLastCall(_GROUP, "settle 1 session with its proof");
    }

    /// @dev Start leaves of one session a user, 1 000 leaves apart: no two share a word of the book.
    function test_SettleNetted() public {
        _anchor.anchor(1_000_000, "root", new bytes32[](0), "");
        (SettlementWindows.NettedWindow memory window, SettlementWindows.NettedRow[] memory rows) = _netted(0, 10);
        _settlement.settleNetted(window, rows);
        vm.snapshotGasLastCall(_GROUP, "settle netted, 10 users");
        (window, rows) = _netted(window.toLeaf, 100);
        _settlement.settleNetted(window, rows);
        vm.assertTrue(vm.snapshotGasLastCall(_GROUP, "settle netted, 100 users") <= 100 * 18_000, "netted, 100 users");
        (window, rows) = _netted(window.toLeaf, 100);
        for (uint256 i = 0; i < 100; ++i) {
            rows[i].flexMilliWh = 2_000_000;
        }
        _settlement.settleNetted(window, rows);
        vm.snapshotGasLastCall(_GROUP, "settle netted, 100 users with flexibility, first of each");
        _settlement.recordInvoices(window.toLeaf, 900_000, "root", 100, new uint64[](0), new uint64[](0));
        vm.snapshotGasLastCall(_GROUP, "record invoices as one root");
    }

    function test_Escrow() public {
        address driver = vm.addr(1);
        Coin coin = new Coin();
        Escrow escrow = new Escrow(address(this), address(coin), address(_settlement), "EUR", 10_000);
        coin.give(driver, 1e12);
        coin.give(address(this), 1e12);
        coin.approve(address(escrow), 1e12);
        escrow.deposit(driver, 1e9);
        vm.snapshotGasLastCall(_GROUP, "escrow: deposit, first");
        bytes32 permit = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                driver,
                address(escrow),
                1e9,
                0,
                block.timestamp
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(1, keccak256(abi.encodePacked(hex"1901", coin.DOMAIN_SEPARATOR(), permit)));
        escrow.depositWithPermit(driver, 1e9, block.timestamp, v, r, s);
        vm.snapshotGasLastCall(_GROUP, "escrow: deposit with permit");
        Settlement.SettlementRow[] memory rows = _rows(3, 0, 0);
        _settlement.settleBatch(rows);
        for (uint256 i = 0; i < 2; ++i) {
            DriverConsent.SessionLock memory terms =
                DriverConsent.SessionLock(rows[i].sessionKey, driver, ADMIN, 2e7, uint64(block.timestamp + 1 days));
            (v, r, s) = vm.sign(1, escrow.lockDigest(terms));
            escrow.lock(terms, abi.encodePacked(r, s, v));
            vm.snapshotGasLastCall(_GROUP, "escrow: lock");
            escrow.collect(rows[i], driver, ADMIN);
            vm.snapshotGasLastCall(_GROUP, "escrow: collect from a lock");
        }
        DriverConsent.DriverReceipt memory receipt =
            DriverConsent.DriverReceipt(rows[2].sessionKey, driver, ADMIN, 22_000, 2e7, uint64(block.timestamp));
        (v, r, s) = vm.sign(1, escrow.receiptDigest(receipt));
        escrow.collectWithReceipt(rows[2], receipt, abi.encodePacked(r, s, v));
        vm.snapshotGasLastCall(_GROUP, "escrow: collect by receipt");
        vm.prank(driver);
        escrow.withdraw(driver, 1e8);
        vm.snapshotGasLastCall(_GROUP, "escrow: withdraw");
        vm.prank(ADMIN);
        escrow.claim(ADMIN);
        vm.snapshotGasLastCall(_GROUP, "escrow: claim, first");
    }

    function _netted(uint64 from, uint256 users)
        private
        pure
        returns (SettlementWindows.NettedWindow memory window, SettlementWindows.NettedRow[] memory rows)
    {
        window.fromLeaf = from;
        window.toLeaf = from + uint64(users) * 1000;
        window.currency = "EUR";
        window.listed = new uint64[](users);
        rows = new SettlementWindows.NettedRow[](users);
        for (uint160 i = 0; i < users; ++i) {
            window.listed[i] = from + 77 + uint64(i) * 1000;
            address user = address((uint160(0xD7) << 152) + (i << 144) + uint144(uint256(keccak256(abi.encode(i)))));
            rows[i] = SettlementWindows.NettedRow(user, 22_000_000, 990, 0, keccak256(abi.encode("sessions", i)));
        }
    }

    function test_Register() public {
        _registry.registerBatch(_assets(1, 0));
        vm.snapshotGasLastCall(_GROUP, "register 1 asset");
        _registry.registerBatch(_assets(100, 1));
        vm.snapshotGasLastCall(_GROUP, "register 100 assets");
        AssetRegistry.Asset[] memory update = _assets(1, 0);
        update[0].status = 2;
        _registry.registerBatch(update);
        vm.snapshotGasLastCall(_GROUP, "update 1 asset");
    }

    function test_Settle() public {
        _settlement.settleBatch(_rows(1, 0, 0));
        vm.snapshotGasLastCall(_GROUP, "settle 1 session");
        _settlement.settleBatch(_rows(100, 1, 0));
        vm.snapshotGasLastCall(_GROUP, "settle 100 sessions");
        _settlement.settleBatch(_rows(100, 101, 2_000_000));
        vm.snapshotGasLastCall(_GROUP, "settle 100 sessions with flexibility, first of each driver");
        _settlement.settleBatch(_rows(100, 101, 2_000_000));
        vm.snapshotGasLastCall(_GROUP, "settle 100 sessions again");
        _settlement.recordCredit(Settlement.CreditRow(bytes32(uint256(1)), "credit", "leaf", 5));
        vm.snapshotGasLastCall(_GROUP, "record a credit");
        Settlement.SettlementRow memory settled = _rows(1, 101, 2_000_000)[0];
        Settlement.CreditRow memory credit = Settlement.CreditRow(settled.sessionKey, "flex credit", "leaf", 5);
        _settlement.recordFlexCredit(settled, credit, 1_000_000);
        vm.snapshotGasLastCall(_GROUP, "record a credit that takes back flexibility");
    }

    function test_Publish() public {
        _algorithms.publish("release", "1.0.0", "wheel", "source", "lock", 1, "ipfs://wheel");
        vm.snapshotGasLastCall(_GROUP, "publish a release");
    }

    function _packed(uint256 count) private pure returns (bytes memory packed) {
        for (uint256 i = 0; i < count; ++i) {
            packed =
                bytes.concat(packed, bytes4(keccak256(abi.encode(i))), hex"02", bytes4(uint32(7400)), hex"00002b00");
        }
    }

    function _assets(uint256 count, uint256 from) private pure returns (AssetRegistry.Asset[] memory batch) {
        batch = new AssetRegistry.Asset[](count);
        for (uint256 i = 0; i < count; ++i) {
            batch[i] = AssetRegistry.Asset({
                assetId: keccak256(abi.encode("asset", from + i)),
                kind: 1,
                status: 1,
                isPublic: true,
                latitudeE7: 525_200_000,
                longitudeE7: 134_050_000,
                ratedPowerW: 22_000,
                priceMicroPerKwh: 450_000,
                capacityMilliWh: 0,
                parentId: keccak256("cabinet"),
                owner: ADMIN,
                commitment: bytes32(0)
            });
        }
    }

    function _rows(uint256 count, uint256 from, uint64 flexMilliWh)
        private
        pure
        returns (Settlement.SettlementRow[] memory rows)
    {
        rows = new Settlement.SettlementRow[](count);
        for (uint256 i = 0; i < count; ++i) {
            rows[i] = Settlement.SettlementRow({
                sessionKey: bytes32(from + i + 1),
                startLeafIndex: uint64((from + i) * 100),
                leafHash: keccak256(abi.encode("leaf", from + i)),
                energyMilliWh: 22_000_000,
                amountMinor: 990,
                currency: "EUR",
                flexMilliWh: flexMilliWh,
                flexTo: flexMilliWh == 0 ? address(0) : address(uint160(0xD000 + i))
            });
        }
    }
}
