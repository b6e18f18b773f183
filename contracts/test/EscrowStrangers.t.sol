// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DriverConsent} from "../src/DriverConsent.sol";
import {Escrow} from "../src/Escrow.sol";
import {Settlement} from "../src/Settlement.sol";
import {EscrowTestBase} from "./EscrowBase.sol";

/// @dev What others can do to a payment by submitting, or paying, before its parties do.
contract EscrowStrangersTest is EscrowTestBase {
    function test_ACollectionBeforeTheReceiptLeavesTheRestToTheReceipt() public {
        _deposit(5 * _PRICE);
        _lock(_PRICE / 4);
        Settlement.SettlementRow memory row = _settle(1000);
        vm.prank(STRANGER);
        _escrow.collect(row, _driver, _CPO);
        vm.assertEq(_escrow.claimableOf(_CPO), _PRICE / 4);
        bytes memory signature = _signReceipt(_receipt());
        vm.expectEmit(address(_escrow));
        emit Escrow.Paid(_SESSION, _driver, _CPO, _PRICE - _PRICE / 4, _PRICE);
        _escrow.collectWithReceipt(row, _receipt(), signature);
        vm.assertEq(_escrow.claimableOf(_CPO), _PRICE);
        vm.assertEq(_escrow.depositOf(_driver), 4 * _PRICE);
        _refusePaid(row, signature);
        _checkBooks();
    }

    function test_AReleaseBeforeTheReceiptLeavesTheReceiptGood() public {
        _deposit(2 * _PRICE);
        _lock(2 * _PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        DriverConsent.DriverReceipt memory receipt = _receipt();
        receipt.deadline = _NOW + 30 days;
        bytes memory signature = _signReceipt(receipt);
        vm.warp(_terms(0).expiry);
        vm.prank(STRANGER);
        _escrow.release(_SESSION, _driver, _CPO);
        _escrow.collectWithReceipt(row, receipt, signature);
        vm.assertEq(_escrow.claimableOf(_CPO), _PRICE);
        vm.assertEq(_escrow.depositOf(_driver), _PRICE);
        _checkBooks();
    }

    /// @dev A lock has no number: what was signed for one must not lock a second time, however the first ended.
    function test_AUsedLockIsNotLockedAgain() public {
        _deposit(5 * _PRICE);
        bytes memory used = abi.encodeWithSelector(Escrow.EscrowPaymentState.selector, Escrow.PaymentState.Used);
        _lock(_PRICE);
        vm.prank(_CPO);
        _escrow.release(_SESSION, _driver, _CPO);
        vm.expectRevert(used);
        _lock(_PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        vm.expectRevert(used);
        _escrow.collect(row, _driver, _CPO);
        _escrow.collectWithReceipt(row, _receipt(), _signReceipt(_receipt()));
        vm.expectRevert(used);
        _lock(_PRICE);
    }

    function test_AReceiptWithoutALockEndsLockingToo() public {
        _deposit(5 * _PRICE);
        _escrow.collectWithReceipt(_settle(1000), _receipt(), _signReceipt(_receipt()));
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowPaymentState.selector, Escrow.PaymentState.Used));
        _lock(_PRICE);
    }

    /// @dev Two drivers locked money for one session: together they pay what it costs.
    function test_ASessionIsPaidOnceWhoeverPays() public {
        _deposit(5 * _PRICE);
        _lock(_PRICE);
        address other = _lockAsOther(_PRICE / 4);
        Settlement.SettlementRow memory row = _settle(1000);
        _escrow.collect(row, other, _CPO);
        _escrow.collect(row, _driver, _CPO);
        vm.assertEq(_escrow.claimableOf(_CPO), _PRICE);
        vm.assertEq(_escrow.paidFor(_SESSION, _CPO), _PRICE);
        vm.assertEq(_escrow.depositOf(other), 0);
        vm.assertEq(_escrow.depositOf(_driver), 5 * _PRICE - (_PRICE - _PRICE / 4));
        _refusePaid(row, _signReceipt(_receipt()));
    }

    function test_APaidSessionGivesTheLockBackAndTakesNothing() public {
        _deposit(5 * _PRICE);
        _lock(2 * _PRICE);
        address other = _lockAsOther(_PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        _escrow.collect(row, other, _CPO);
        vm.expectEmit(address(_escrow));
        emit Escrow.Paid(_SESSION, _driver, _CPO, 0, _PRICE);
        _escrow.collectWithReceipt(row, _receipt(), _signReceipt(_receipt()));
        vm.assertEq(_escrow.depositOf(_driver), 5 * _PRICE);
        vm.assertEq(_escrow.claimableOf(_CPO), _PRICE);
    }

    /// @dev Who pays himself as the operator marks nothing as paid to the real one.
    function test_PayingAnotherOperatorTakesNothingFromTheRealOne() public {
        _deposit(_PRICE);
        _lock(_PRICE);
        address other = vm.addr(_OTHER_KEY);
        _fund(other, _PRICE);
        DriverConsent.SessionLock memory terms = _terms(_PRICE);
        (terms.user, terms.cpo) = (other, other);
        vm.prank(other);
        _escrow.lock(terms, "");
        Settlement.SettlementRow memory row = _settle(1000);
        _escrow.collect(row, other, other);
        _escrow.collect(row, _driver, _CPO);
        vm.assertEq(_escrow.claimableOf(_CPO), _PRICE);
    }

    function test_ACreditAfterAPaymentNeitherPaysNorFails() public {
        _deposit(5 * _PRICE);
        _lock(_PRICE);
        _lockAsOther(_PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        _escrow.collect(row, _driver, _CPO);
        vm.prank(_SETTLER);
        _settlement.recordCredit(Settlement.CreditRow(_SESSION, "credit", "leaf", 400));
        _escrow.collect(row, vm.addr(_OTHER_KEY), _CPO);
        vm.assertEq(_escrow.claimableOf(_CPO), _PRICE);
        vm.assertEq(_escrow.depositOf(vm.addr(_OTHER_KEY)), _PRICE);
    }

    function test_MoneyNeverGoesWhereNobodyCanTakeItOut() public {
        _deposit(5 * _PRICE);
        _lock(_PRICE);
        _escrow.collect(_settle(1000), _driver, _CPO);
        address[2] memory nobodies = [address(0), address(_escrow)];
        for (uint256 i = 0; i < nobodies.length; ++i) {
            bytes memory reason = abi.encodeWithSelector(Escrow.EscrowPartyInvalid.selector, nobodies[i]);
            vm.expectRevert(reason);
            vm.prank(_driver);
            _escrow.withdraw(nobodies[i], 1);
            vm.expectRevert(reason);
            vm.prank(_CPO);
            _escrow.claim(nobodies[i]);
            vm.expectRevert(reason);
            vm.prank(_driver);
            _escrow.deposit(nobodies[i], 1);
            DriverConsent.SessionLock memory terms = _terms(1);
            terms.sessionId = "next";
            terms.cpo = nobodies[i];
            vm.expectRevert(reason);
            vm.prank(_driver);
            _escrow.lock(terms, "");
        }
        vm.assertEq(_escrow.claimableOf(_CPO), _PRICE);
        _checkBooks();
    }

    function _refusePaid(Settlement.SettlementRow memory row, bytes memory signature) private {
        DriverConsent.DriverReceipt memory receipt = _receipt();
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowSessionPaid.selector, _SESSION, _CPO));
        _escrow.collectWithReceipt(row, receipt, signature);
    }

    function _fund(address user, uint256 amount) private {
        _coin.give(user, amount);
        vm.startPrank(user);
        _coin.approve(address(_escrow), amount);
        _escrow.deposit(user, amount);
        vm.stopPrank();
    }

    function _lockAsOther(uint256 amount) private returns (address other) {
        other = vm.addr(_OTHER_KEY);
        _fund(other, amount);
        DriverConsent.SessionLock memory terms = _terms(amount);
        terms.user = other;
        vm.prank(other);
        _escrow.lock(terms, "");
    }
}
