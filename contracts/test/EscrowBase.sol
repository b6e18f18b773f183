// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DriverConsent} from "../src/DriverConsent.sol";
import {Escrow} from "../src/Escrow.sol";
import {FlexToken} from "../src/FlexToken.sol";
import {Settlement} from "../src/Settlement.sol";
import {StatusAnchor} from "../src/StatusAnchor.sol";
import {Coin} from "./Coins.sol";
import {TestBase} from "./Vm.sol";

/// @dev An escrow of one driver and one operator, whose session costs what a test says.
abstract contract EscrowTestBase is TestBase {
    uint256 internal constant _DRIVER_KEY = 0xD217E2;
    uint256 internal constant _OTHER_KEY = 0x07E2;
    address internal constant _CPO = address(0xC90);
    address internal constant _SETTLER = address(0xA6);
    bytes32 internal constant _SESSION = keccak256("session");
    uint64 internal constant _UNITS = 10_000;
    uint256 internal constant _PRICE = 1000 * uint256(_UNITS);
    uint64 internal constant _NOW = 1_800_000_000;

    address internal _driver;
    Coin internal _coin;
    Settlement internal _settlement;
    Escrow internal _escrow;

    function setUp() public {
        vm.warp(_NOW);
        _driver = vm.addr(_DRIVER_KEY);
        _coin = new Coin();
        FlexToken flex = new FlexToken(ADMIN);
        _settlement = new Settlement(ADMIN, address(flex), address(new StatusAnchor(ADMIN)));
        _escrow = new Escrow(ADMIN, address(_coin), address(_settlement), "EUR", _UNITS);
        vm.startPrank(ADMIN);
        flex.bindMinter(address(_settlement));
        _settlement.grantRole(_settlement.SETTLER_ROLE(), _SETTLER);
        _escrow.grantRole(_escrow.PAUSER_ROLE(), PAUSER);
        vm.stopPrank();
        _coin.give(_driver, 100 * _PRICE);
        vm.prank(_driver);
        _coin.approve(address(_escrow), type(uint256).max);
    }

    function _checkBooks() internal view {
        uint256 owed = _escrow.depositOf(_driver) + _escrow.claimableOf(_CPO) + _escrow.claimableOf(_driver)
            + _escrow.paymentOf(_SESSION, _driver, _CPO).amount;
        vm.assertEq(_escrow.totalOwed(), owed);
        vm.assertEq(_coin.balanceOf(address(_escrow)), owed);
    }

    function _deposit(uint256 amount) internal {
        vm.prank(_driver);
        _escrow.deposit(_driver, amount);
    }

    function _revokeAllowance() internal {
        vm.prank(_driver);
        _coin.approve(address(_escrow), 0);
    }

    function _lock(uint256 amount) internal {
        vm.prank(_driver);
        _escrow.lock(_terms(amount), "");
    }

    function _terms(uint256 amount) internal view returns (DriverConsent.SessionLock memory) {
        return DriverConsent.SessionLock(_SESSION, _driver, _CPO, uint128(amount), _NOW + 1 days);
    }

    function _receipt() internal view returns (DriverConsent.DriverReceipt memory) {
        return DriverConsent.DriverReceipt(_SESSION, _driver, _CPO, 22_000, uint128(_PRICE), _NOW + 1 hours);
    }

    function _row(uint64 amountMinor) internal pure returns (Settlement.SettlementRow memory) {
        return Settlement.SettlementRow(_SESSION, 7, "leaf", 22_000_999, amountMinor, "EUR", 0, address(0));
    }

    function _settle(uint64 amountMinor) internal returns (Settlement.SettlementRow memory row) {
        row = _row(amountMinor);
        _settleRow(row);
    }

    function _settleRow(Settlement.SettlementRow memory row) internal {
        Settlement.SettlementRow[] memory rows = new Settlement.SettlementRow[](1);
        rows[0] = row;
        vm.prank(_SETTLER);
        _settlement.settleBatch(rows);
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _signReceipt(DriverConsent.DriverReceipt memory receipt) internal view returns (bytes memory) {
        return _sign(_DRIVER_KEY, _escrow.receiptDigest(receipt));
    }

    function _permit(uint256 amount) internal view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 permit = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                _driver,
                address(_escrow),
                amount,
                _coin.nonces(_driver),
                _NOW
            )
        );
        return vm.sign(_DRIVER_KEY, keccak256(abi.encodePacked(hex"1901", _coin.DOMAIN_SEPARATOR(), permit)));
    }

    function _refuseLock(DriverConsent.SessionLock memory terms, bytes memory signature) internal {
        vm.expectRevert(abi.encodeWithSelector(DriverConsent.EscrowSignatureInvalid.selector, terms.user));
        _escrow.lock(terms, signature);
    }

    function _refuseExpiry(DriverConsent.SessionLock memory terms) internal {
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowExpiryOutOfRange.selector, terms.expiry));
        vm.prank(_driver);
        _escrow.lock(terms, "");
    }

    function _refuseReceipt(
        Settlement.SettlementRow memory row,
        DriverConsent.DriverReceipt memory receipt,
        bytes memory signature
    ) internal {
        vm.expectRevert(abi.encodeWithSelector(DriverConsent.EscrowSignatureInvalid.selector, receipt.user));
        _escrow.collectWithReceipt(row, receipt, signature);
    }
}
