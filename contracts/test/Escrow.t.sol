// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DriverConsent} from "../src/DriverConsent.sol";
import {Escrow} from "../src/Escrow.sol";
import {Settlement} from "../src/Settlement.sol";
import {Wallet} from "./Coins.sol";
import {EscrowTestBase} from "./EscrowBase.sol";

contract EscrowTest is EscrowTestBase {
    function test_ItNeedsTokenSettlementCurrencyAndScale() public {
        bytes memory reason = abi.encodeWithSelector(Escrow.EscrowConfigurationIsZero.selector);
        vm.expectRevert(reason);
        new Escrow(ADMIN, address(0), address(_settlement), "EUR", 1);
        vm.expectRevert(reason);
        new Escrow(ADMIN, address(_coin), address(0), "EUR", 1);
        vm.expectRevert(reason);
        new Escrow(ADMIN, address(_coin), address(_settlement), bytes3(0), 1);
        vm.expectRevert(reason);
        new Escrow(ADMIN, address(_coin), address(_settlement), "EUR", 0);
    }

    function testFuzz_WhatIsPaidInCanBeTakenOut(uint64 amount, uint64 out) public {
        vm.assume(amount != 0 && amount <= 100 * _PRICE && out <= amount);
        vm.expectEmit(address(_escrow));
        emit Escrow.Deposited(_driver, _driver, amount);
        _deposit(amount);
        vm.expectEmit(address(_escrow));
        emit Escrow.Withdrawn(_driver, STRANGER, out);
        vm.prank(_driver);
        _escrow.withdraw(STRANGER, out);
        vm.assertEq(_coin.balanceOf(STRANGER), out);
        vm.assertEq(_escrow.depositOf(_driver), uint256(amount) - out);
        _checkBooks();
        vm.expectRevert(
            abi.encodeWithSelector(
                Escrow.EscrowDepositTooSmall.selector, _driver, uint256(amount) - out, uint256(amount) - out + 1
            )
        );
        vm.prank(_driver);
        _escrow.withdraw(_driver, uint256(amount) - out + 1);
    }

    function test_AnyoneMayPayInForADriver() public {
        _coin.give(_CPO, 50);
        vm.startPrank(_CPO);
        _coin.approve(address(_escrow), 50);
        _escrow.deposit(_driver, 50);
        vm.stopPrank();
        vm.assertEq(_escrow.depositOf(_driver), 50);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowPartyInvalid.selector, address(0)));
        vm.prank(_driver);
        _escrow.deposit(address(0), 50);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowNothingReceived.selector));
        vm.prank(_driver);
        _escrow.deposit(_driver, 0);
    }

    function test_OnlyWhatArrivesIsBooked() public {
        _coin.setFee(3);
        _deposit(1000);
        vm.assertEq(_escrow.depositOf(_driver), 970);
        _checkBooks();
        vm.prank(_driver);
        _escrow.withdraw(_driver, 970);
        _checkBooks();
        vm.assertEq(_escrow.totalOwed(), 0);
    }

    function test_APermitPaysInAndTheDriverNeedsNoGas() public {
        _revokeAllowance();
        (uint8 v, bytes32 r, bytes32 s) = _permit(700);
        vm.prank(STRANGER);
        _escrow.depositWithPermit(_driver, 700, _NOW, v, r, s);
        vm.assertEq(_escrow.depositOf(_driver), 700);
        _checkBooks();
    }

    function test_APermitThatSomebodyElseSubmittedFirstIsAsGood() public {
        _revokeAllowance();
        (uint8 v, bytes32 r, bytes32 s) = _permit(700);
        vm.prank(STRANGER);
        _coin.permit(_driver, address(_escrow), 700, _NOW, v, r, s);
        _escrow.depositWithPermit(_driver, 700, _NOW, v, r, s);
        vm.assertEq(_escrow.depositOf(_driver), 700);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowPermitInvalid.selector, _driver));
        _escrow.depositWithPermit(_driver, 700, _NOW, v, r, s);
    }

    function test_AStandingAllowanceIsNoPermit() public {
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowPermitInvalid.selector, _driver));
        vm.prank(STRANGER);
        _escrow.depositWithPermit(_driver, 700, _NOW, 27, bytes32(0), bytes32(0));
    }

    function test_ALockedAmountPaysASessionAndTheRestIsFree() public {
        _deposit(5 * _PRICE);
        DriverConsent.SessionLock memory terms = _terms(3 * _PRICE);
        bytes memory signature = _sign(_DRIVER_KEY, _escrow.lockDigest(terms));
        vm.expectEmit(address(_escrow));
        emit Escrow.Locked(_SESSION, _driver, _CPO, uint128(3 * _PRICE), terms.expiry);
        vm.prank(STRANGER);
        _escrow.lock(terms, signature);
        vm.assertEq(_escrow.depositOf(_driver), 2 * _PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        vm.expectEmit(address(_escrow));
        emit Escrow.Paid(_SESSION, _driver, _CPO, _PRICE, _PRICE);
        vm.prank(STRANGER);
        _escrow.collect(row, _driver, _CPO);
        vm.assertEq(_escrow.depositOf(_driver), 4 * _PRICE);
        vm.assertEq(_escrow.claimableOf(_CPO), _PRICE);
        vm.expectEmit(address(_escrow));
        emit Escrow.Claimed(_CPO, address(0xBEEF), _PRICE);
        vm.prank(_CPO);
        _escrow.claim(address(0xBEEF));
        vm.assertEq(_coin.balanceOf(address(0xBEEF)), _PRICE);
        _checkBooks();
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowNothingToClaim.selector, _CPO));
        vm.prank(_CPO);
        _escrow.claim(_CPO);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowPaymentState.selector, Escrow.PaymentState.Used));
        _escrow.collect(row, _driver, _CPO);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowPaymentState.selector, Escrow.PaymentState.Used));
        _escrow.lock(terms, signature);
    }

    function testFuzz_NoMoreIsPaidThanWasLocked(uint64 lockedMinor, uint64 amountMinor, uint64 creditMinor) public {
        lockedMinor = 1 + lockedMinor % 5000;
        amountMinor %= 10_000;
        creditMinor = amountMinor == 0 ? 0 : creditMinor % amountMinor;
        _deposit(50 * _PRICE);
        _lock(uint256(lockedMinor) * _UNITS);
        Settlement.SettlementRow memory row = _settle(amountMinor);
        vm.prank(_SETTLER);
        _settlement.recordCredit(Settlement.CreditRow(_SESSION, "credit", "leaf", creditMinor));
        _escrow.collect(row, _driver, _CPO);
        uint256 due = amountMinor - creditMinor;
        uint256 paid = due < lockedMinor ? due : lockedMinor;
        vm.assertEq(_escrow.claimableOf(_CPO), paid * _UNITS);
        vm.assertEq(_escrow.depositOf(_driver), 50 * _PRICE - paid * _UNITS);
        _checkBooks();
    }

    function test_TheDriverLocksWithoutASignature() public {
        _deposit(_PRICE);
        vm.prank(_driver);
        _escrow.lock(_terms(_PRICE), "");
        vm.assertEq(_escrow.paymentOf(_SESSION, _driver, _CPO).amount, _PRICE);
    }

    function test_ALockIsForWhatTheDriverSignedOnly() public {
        _deposit(5 * _PRICE);
        DriverConsent.SessionLock memory signed = _terms(_PRICE);
        bytes memory signature = _sign(_DRIVER_KEY, _escrow.lockDigest(signed));
        DriverConsent.SessionLock memory terms = _terms(_PRICE);
        terms.sessionId = keccak256("another session");
        _refuseLock(terms, signature);
        terms = _terms(_PRICE);
        terms.cpo = STRANGER;
        _refuseLock(terms, signature);
        terms = _terms(2 * _PRICE);
        _refuseLock(terms, signature);
        terms = _terms(_PRICE);
        terms.expiry += 1;
        _refuseLock(terms, signature);
        terms = _terms(_PRICE);
        terms.user = vm.addr(_OTHER_KEY);
        _refuseLock(terms, signature);
        _refuseLock(_terms(_PRICE), _sign(_OTHER_KEY, _escrow.lockDigest(signed)));
        _refuseLock(_terms(_PRICE), "");
    }

    function test_MoneyIsLockedForAWeekAtMost() public {
        _deposit(5 * _PRICE);
        DriverConsent.SessionLock memory terms = _terms(_PRICE);
        terms.expiry = _NOW + 7 days + 1;
        _refuseExpiry(terms);
        terms.expiry = _NOW;
        _refuseExpiry(terms);
        terms.expiry = _NOW + 7 days;
        vm.prank(_driver);
        _escrow.lock(terms, "");
    }

    function test_ALockNeedsPartiesAndADepositThatCoversIt() public {
        _deposit(_PRICE);
        vm.expectRevert(
            abi.encodeWithSelector(Escrow.EscrowDepositTooSmall.selector, _driver, _PRICE, uint256(_PRICE + 1))
        );
        _lock(_PRICE + 1);
        DriverConsent.SessionLock memory terms = _terms(1);
        terms.cpo = address(0);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowPartyInvalid.selector, address(0)));
        vm.prank(_driver);
        _escrow.lock(terms, "");
        terms = _terms(1);
        terms.sessionId = bytes32(0);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowSessionIsZero.selector));
        vm.prank(_driver);
        _escrow.lock(terms, "");
        terms = _terms(1);
        terms.user = address(0);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowPartyInvalid.selector, address(0)));
        _escrow.lock(terms, "");
    }

    /// @dev At the second of the expiry the money changes sides: never both, never neither.
    function test_AtTheExpiryTheMoneyIsTheDriversAgain() public {
        _deposit(2 * _PRICE);
        _lock(2 * _PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        uint64 expiry = _terms(0).expiry;
        vm.warp(expiry - 1);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowLockStands.selector, expiry));
        vm.prank(_driver);
        _escrow.release(_SESSION, _driver, _CPO);
        vm.warp(expiry);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowLockExpired.selector, expiry));
        _escrow.collect(row, _driver, _CPO);
        vm.expectEmit(address(_escrow));
        emit Escrow.Released(_SESSION, _driver, _CPO, 2 * _PRICE);
        vm.prank(STRANGER);
        _escrow.release(_SESSION, _driver, _CPO);
        vm.assertEq(_escrow.depositOf(_driver), 2 * _PRICE);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowPaymentState.selector, Escrow.PaymentState.Used));
        _escrow.release(_SESSION, _driver, _CPO);
        _checkBooks();
    }

    function test_UntilTheLastSecondTheOperatorIsPaid() public {
        _deposit(2 * _PRICE);
        _lock(2 * _PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        vm.warp(_terms(0).expiry - 1);
        _escrow.collect(row, _driver, _CPO);
        vm.assertEq(_escrow.claimableOf(_CPO), _PRICE);
    }

    function test_TheOperatorMayGiveALockBackEarly() public {
        _deposit(_PRICE);
        _lock(_PRICE);
        vm.prank(_CPO);
        _escrow.release(_SESSION, _driver, _CPO);
        vm.assertEq(_escrow.depositOf(_driver), _PRICE);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowPaymentState.selector, Escrow.PaymentState.None));
        _escrow.release(keccak256("no such lock"), _driver, _CPO);
    }

    function test_LockedMoneyIsNotWithdrawn() public {
        _deposit(_PRICE);
        _lock(_PRICE);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowDepositTooSmall.selector, _driver, 0, uint256(1)));
        vm.prank(_driver);
        _escrow.withdraw(_driver, 1);
    }

    function test_OnlyASettledSessionInThisCurrencyIsPaid() public {
        _deposit(5 * _PRICE);
        _lock(_PRICE);
        Settlement.SettlementRow memory row = _row(1000);
        bytes memory unsettled = abi.encodeWithSelector(Escrow.EscrowSessionNotSettled.selector, _SESSION);
        vm.expectRevert(unsettled);
        _escrow.collect(row, _driver, _CPO);
        _settle(1000);
        row.amountMinor = 1001;
        vm.expectRevert(unsettled);
        _escrow.collect(row, _driver, _CPO);
        row = _row(1000);
        row.currency = "USD";
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowOtherCurrency.selector, bytes3("USD")));
        _escrow.collect(row, _driver, _CPO);
    }

    function test_AReceiptPaysOutOfTheDeposit() public {
        _deposit(5 * _PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        DriverConsent.DriverReceipt memory receipt = _receipt();
        vm.warp(receipt.deadline);
        vm.expectEmit(address(_escrow));
        emit Escrow.Paid(_SESSION, _driver, _CPO, _PRICE, _PRICE);
        vm.prank(STRANGER);
        _escrow.collectWithReceipt(row, receipt, _signReceipt(receipt));
        vm.assertEq(_escrow.claimableOf(_CPO), _PRICE);
        vm.assertEq(_escrow.depositOf(_driver), 4 * _PRICE);
        bytes memory signature = _signReceipt(receipt);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowSessionPaid.selector, _SESSION, _CPO));
        _escrow.collectWithReceipt(row, receipt, signature);
        _checkBooks();
    }

    function test_AReceiptUsesTheLockFirstAlsoAnExpiredOne() public {
        _deposit(2 * _PRICE);
        _lock(2 * _PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        vm.warp(_terms(0).expiry + 1);
        DriverConsent.DriverReceipt memory receipt = _receipt();
        receipt.deadline = _NOW + 30 days;
        _escrow.collectWithReceipt(row, receipt, _signReceipt(receipt));
        vm.assertEq(_escrow.depositOf(_driver), _PRICE);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowPaymentState.selector, Escrow.PaymentState.Used));
        _escrow.release(_SESSION, _driver, _CPO);
        _checkBooks();
    }

    /// @dev The replay of the reference design: the same signature with another session.
    function test_AReceiptIsNotGoodForAnotherSession() public {
        _deposit(5 * _PRICE);
        DriverConsent.DriverReceipt memory receipt = _receipt();
        bytes memory signature = _signReceipt(receipt);
        Settlement.SettlementRow memory other = _row(1000);
        other.sessionKey = keccak256("another session");
        other.startLeafIndex = 9;
        _settleRow(other);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowReceiptOfOtherSession.selector, _SESSION));
        _escrow.collectWithReceipt(other, receipt, signature);
        receipt.sessionId = other.sessionKey;
        _refuseReceipt(other, receipt, signature);
    }

    function test_AReceiptIsNotGoodOnAnotherChain() public {
        _deposit(5 * _PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        DriverConsent.DriverReceipt memory receipt = _receipt();
        bytes memory signature = _signReceipt(receipt);
        vm.chainId(4711);
        _refuseReceipt(row, receipt, signature);
        vm.chainId(31337);
        _escrow.collectWithReceipt(row, receipt, signature);
    }

    function test_AReceiptIsNotGoodForAnotherContract() public {
        Escrow other = new Escrow(ADMIN, address(_coin), address(_settlement), "EUR", _UNITS);
        _deposit(5 * _PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        DriverConsent.DriverReceipt memory receipt = _receipt();
        _refuseReceipt(row, receipt, _sign(_DRIVER_KEY, other.receiptDigest(receipt)));
    }

    function test_AReceiptIsNotGoodForAnotherUser() public {
        address other = vm.addr(_OTHER_KEY);
        _coin.give(other, _PRICE);
        vm.startPrank(other);
        _coin.approve(address(_escrow), _PRICE);
        _escrow.deposit(other, _PRICE);
        vm.stopPrank();
        Settlement.SettlementRow memory row = _settle(1000);
        DriverConsent.DriverReceipt memory receipt = _receipt();
        bytes memory signature = _signReceipt(receipt);
        receipt.user = other;
        _refuseReceipt(row, receipt, signature);
    }

    function test_EveryOtherFieldOfAReceiptIsSigned() public {
        _deposit(5 * _PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        bytes memory signature = _signReceipt(_receipt());
        DriverConsent.DriverReceipt memory receipt = _receipt();
        receipt.cpo = STRANGER;
        _refuseReceipt(row, receipt, signature);
        receipt = _receipt();
        receipt.maxAmount += 1;
        _refuseReceipt(row, receipt, signature);
        receipt = _receipt();
        receipt.deadline += 1;
        _refuseReceipt(row, receipt, signature);
        receipt = _receipt();
        receipt.energyWh += 1;
        signature = _signReceipt(receipt);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowReceiptOfOtherSession.selector, _SESSION));
        _escrow.collectWithReceipt(row, receipt, signature);
        signature = _signReceipt(receipt);
        receipt.energyWh -= 1;
        _refuseReceipt(row, receipt, signature);
        vm.prank(_driver);
        _refuseReceipt(row, _receipt(), "");
    }

    function test_AReceiptHasADeadlineAMaximumAndParties() public {
        _deposit(5 * _PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        DriverConsent.DriverReceipt memory receipt = _receipt();
        receipt.maxAmount = uint128(_PRICE - 1);
        bytes memory signature = _signReceipt(receipt);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowAmountAboveMaximum.selector, _PRICE - 1, _PRICE));
        _escrow.collectWithReceipt(row, receipt, signature);
        receipt = _receipt();
        receipt.cpo = address(0);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowPartyInvalid.selector, address(0)));
        _escrow.collectWithReceipt(row, receipt, "");
        receipt = _receipt();
        receipt.user = address(0);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowPartyInvalid.selector, address(0)));
        _escrow.collectWithReceipt(row, receipt, "");
        receipt = _receipt();
        signature = _signReceipt(receipt);
        vm.warp(receipt.deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(Escrow.EscrowReceiptExpired.selector, receipt.deadline));
        _escrow.collectWithReceipt(row, receipt, signature);
    }

    /// @dev A driver who pays himself for the session leaves the operator's lock and receipt as they were.
    function test_APaymentToAnotherOperatorIsAnotherPayment() public {
        _deposit(5 * _PRICE);
        _lock(_PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        DriverConsent.DriverReceipt memory receipt = _receipt();
        receipt.cpo = _driver;
        _escrow.collectWithReceipt(row, receipt, _signReceipt(receipt));
        _escrow.collect(row, _driver, _CPO);
        vm.assertEq(_escrow.claimableOf(_CPO), _PRICE);
        _checkBooks();
    }

    function test_AWalletThatIsAContractSigns() public {
        Wallet wallet = new Wallet();
        _coin.give(address(this), _PRICE);
        _coin.approve(address(_escrow), _PRICE);
        _escrow.deposit(address(wallet), _PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        DriverConsent.DriverReceipt memory receipt = _receipt();
        receipt.user = address(wallet);
        _refuseReceipt(row, receipt, "");
        wallet.agree(_escrow.receiptDigest(receipt));
        _escrow.collectWithReceipt(row, receipt, "");
        vm.assertEq(_escrow.claimableOf(_CPO), _PRICE);
    }

    function test_ATokenThatCallsBackFindsNoWayIn() public {
        _deposit(_PRICE);
        bytes memory again = abi.encodeCall(Escrow.deposit, (_driver, 1));
        _coin.callBack(address(_escrow), again);
        _deposit(10);
        vm.assertFalse(_coin.callSucceeded());
        vm.assertEq(_escrow.depositOf(_driver), _PRICE + 10);
        _coin.callBack(address(_escrow), again);
        vm.prank(_driver);
        _escrow.withdraw(_driver, 10);
        vm.assertFalse(_coin.callSucceeded());
        _checkBooks();
    }

    /// @dev The token's owner acts as its depositor: a callback in a transfer that counts the same money twice.
    function test_ACallbackDoesNotBookMoneyTwice() public {
        _coin.give(address(_coin), 100);
        vm.prank(address(_coin));
        _coin.approve(address(_escrow), 100);
        _coin.callBack(address(_escrow), abi.encodeCall(Escrow.deposit, (address(_coin), 100)));
        _deposit(10);
        vm.assertFalse(_coin.callSucceeded());
        vm.assertEq(_escrow.totalOwed(), 10);
        _checkBooks();
    }

    function test_PauseStopsWhatBindsMoneyAndNeverWhatFreesIt() public {
        _deposit(5 * _PRICE);
        _lock(2 * _PRICE);
        Settlement.SettlementRow memory row = _settle(1000);
        DriverConsent.SessionLock memory next = _terms(1);
        next.sessionId = keccak256("next");
        vm.prank(_driver);
        _escrow.lock(next, "");
        _escrow.collect(row, _driver, _CPO);
        vm.prank(PAUSER);
        _escrow.pause();
        expectPaused();
        _deposit(1);
        expectPaused();
        _escrow.depositWithPermit(_driver, 1, _NOW, 27, bytes32(0), bytes32(0));
        expectPaused();
        _lock(1);
        expectPaused();
        _escrow.collect(row, _driver, _CPO);
        DriverConsent.DriverReceipt memory receipt = _receipt();
        expectPaused();
        _escrow.collectWithReceipt(row, receipt, "");
        vm.prank(_CPO);
        _escrow.claim(_CPO);
        vm.prank(_CPO);
        _escrow.release(next.sessionId, _driver, _CPO);
        vm.prank(_driver);
        _escrow.withdraw(_driver, 4 * _PRICE);
        vm.assertEq(_coin.balanceOf(address(_escrow)), 0);
        vm.assertEq(_escrow.totalOwed(), 0);
    }
}
