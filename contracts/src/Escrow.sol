// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {DriverConsent} from "./DriverConsent.sol";
import {Settlement} from "./Settlement.sol";
import {Stoppable} from "./Stoppable.sol";

/// @title Escrow
/// @notice Optional: holds drivers' deposits in one ERC-20 token and pays settled sessions out of them.
/// @dev No role can move money. It moves only where its owner signed: into a lock at the start of a
/// session (a maximum amount, until an expiry), or by a receipt at its end. Whoever submits a signature
/// decides nothing: every field is in it, and so are the chain and this contract. A session, user and
/// operator have one lock, ever; a receipt is good before and after it. What a session costs is read
/// from Settlement, less its credits; a session that is not settled there costs nothing. An operator is
/// paid that much for a session and no more, whoever pays. Operators and drivers fetch their money
/// themselves. Tokens that change balances by themselves (rebasing) are not supported; what a token
/// takes as a fee is not booked.
/// @custom:kill PAUSER_ROLE calls `pause()`: no deposit, no lock, no collection. `withdraw`, `release`
/// and `claim` stay open always, and nobody can close them.
contract Escrow is Stoppable, DriverConsent, ReentrancyGuard {
    using SafeERC20 for IERC20;

    /// @notice Where the lock of a user's money for a session and an operator stands. Used: it was collected
    /// or released, or a receipt came; there is no second one.
    enum PaymentState {
        None,
        Locked,
        Used
    }

    /// @notice The lock of a user's money for a session and an operator.
    /// @param amount What is locked, in the token's smallest unit.
    /// @param expiry From when the driver has it back, in Unix seconds.
    /// @param state Where it stands.
    struct Payment {
        uint128 amount;
        uint64 expiry;
        PaymentState state;
    }

    /// @notice How long money can be locked at most.
    uint64 public constant LOCK_MAX_SECONDS = 7 days;

    /// @notice The token.
    IERC20 public immutable token;
    /// @notice Where sessions are settled.
    Settlement public immutable settlement;
    /// @notice ISO 4217 code of the sessions that can be paid.
    bytes3 public immutable currency;
    /// @notice Units of the token for one minor unit of the currency.
    uint64 public immutable unitsPerMinor;

    /// @notice Sum of all deposits, locks and claims: what the contract owes.
    uint256 public totalOwed;
    /// @notice What a driver can withdraw now.
    mapping(address user => uint256 amount) public depositOf;
    /// @notice What an operator can claim now.
    mapping(address cpo => uint256 amount) public claimableOf;
    /// @notice What an operator was paid for a session, by all users together.
    mapping(bytes32 sessionId => mapping(address cpo => uint256 amount)) public paidFor;
    mapping(bytes32 paymentId => Payment) private _payments;

    /// @notice A deposit grew by money from outside.
    /// @param user Whose deposit.
    /// @param payer Who paid.
    /// @param amount What arrived.
    event Deposited(address indexed user, address indexed payer, uint256 amount);
    /// @notice A driver took money out.
    /// @param user The driver.
    /// @param to Receiver.
    /// @param amount Amount.
    event Withdrawn(address indexed user, address indexed to, uint256 amount);
    /// @notice A driver's money was locked for a session.
    /// @param sessionId Key of the session.
    /// @param user The driver.
    /// @param cpo The operator.
    /// @param amount Amount.
    /// @param expiry From when the driver has it back, in Unix seconds.
    event Locked(bytes32 indexed sessionId, address indexed user, address indexed cpo, uint128 amount, uint64 expiry);
    /// @notice A lock ended without a payment.
    /// @param sessionId Key of the session.
    /// @param user The driver.
    /// @param cpo The operator.
    /// @param amount What went back to the deposit.
    event Released(bytes32 indexed sessionId, address indexed user, address indexed cpo, uint256 amount);
    /// @notice A session was paid.
    /// @param sessionId Key of the session.
    /// @param user The driver.
    /// @param cpo The operator.
    /// @param amount What was paid.
    /// @param due What it cost less credits; more than was paid if more than was locked.
    event Paid(bytes32 indexed sessionId, address indexed user, address indexed cpo, uint256 amount, uint256 due);
    /// @notice An operator took money out.
    /// @param cpo The operator.
    /// @param to Receiver.
    /// @param amount Amount.
    event Claimed(address indexed cpo, address indexed to, uint256 amount);

    /// @notice The token, the settlement, the currency or the scale is zero.
    error EscrowConfigurationIsZero();
    /// @notice The transfer brought nothing.
    error EscrowNothingReceived();
    /// @notice The permit is not valid, and no allowance of just this amount stands.
    /// @param user The owner of the tokens.
    error EscrowPermitInvalid(address user);
    /// @notice The deposit is too small.
    /// @param user Whose deposit.
    /// @param available What is there.
    /// @param needed What is asked.
    error EscrowDepositTooSmall(address user, uint256 available, uint256 needed);
    /// @notice The session is zero.
    error EscrowSessionIsZero();
    /// @notice The user, the operator or the receiver is zero or this contract, where money would stay for ever.
    /// @param party The address.
    error EscrowPartyInvalid(address party);
    /// @notice The operator was paid what the session costs.
    /// @param sessionId Key of the session.
    /// @param cpo The operator.
    error EscrowSessionPaid(bytes32 sessionId, address cpo);
    /// @notice The expiry has passed, or is too far away.
    /// @param expiry The expiry offered.
    error EscrowExpiryOutOfRange(uint64 expiry);
    /// @notice The lock is not in the state that this needs.
    /// @param state The state that it is in.
    error EscrowPaymentState(PaymentState state);
    /// @notice The lock has expired: the money is the driver's again.
    /// @param expiry Its expiry.
    error EscrowLockExpired(uint64 expiry);
    /// @notice The lock has not expired, and the caller is not its operator.
    /// @param expiry Its expiry.
    error EscrowLockStands(uint64 expiry);
    /// @notice The deadline of the receipt has passed.
    /// @param deadline The deadline.
    error EscrowReceiptExpired(uint64 deadline);
    /// @notice The receipt is of another session, or of another energy, than the row.
    /// @param sessionId Key of the session in the receipt.
    error EscrowReceiptOfOtherSession(bytes32 sessionId);
    /// @notice The session costs more than the receipt allows.
    /// @param maxAmount What it allows.
    /// @param due What the session costs, less credits.
    error EscrowAmountAboveMaximum(uint256 maxAmount, uint256 due);
    /// @notice The session is not settled with this row.
    /// @param sessionId Key of the session.
    error EscrowSessionNotSettled(bytes32 sessionId);
    /// @notice The session is settled in another currency.
    /// @param settledIn Its currency.
    error EscrowOtherCurrency(bytes3 settledIn);
    /// @notice There is nothing to claim.
    /// @param cpo The caller.
    error EscrowNothingToClaim(address cpo);

    /// @param admin Holder of DEFAULT_ADMIN_ROLE.
    /// @param token_ The token: a plain ERC-20.
    /// @param settlement_ The Settlement contract.
    /// @param currency_ ISO 4217 code of the sessions that can be paid.
    /// @param unitsPerMinor_ Units of the token for one minor unit: 10 000 for cents and 6 decimals.
    constructor(address admin, address token_, address settlement_, bytes3 currency_, uint64 unitsPerMinor_)
        Stoppable(admin)
    {
        if (token_ == address(0) || settlement_ == address(0) || currency_ == bytes3(0) || unitsPerMinor_ == 0) {
            revert EscrowConfigurationIsZero();
        }
        token = IERC20(token_);
        settlement = Settlement(settlement_);
        currency = currency_;
        unitsPerMinor = unitsPerMinor_;
    }

    /// @notice Pays into a deposit: the caller's own or, as a gift or a refund, another's.
    /// @param user Whose deposit.
    /// @param amount What the caller sends; what arrives is booked.
    function deposit(address user, uint256 amount) external whenNotPaused nonReentrant {
        _deposit(msg.sender, user, amount);
    }

    /// @notice Pays a user's tokens into that user's own deposit with a permit (ERC-2612); anyone may submit it.
    /// @dev A permit that somebody submitted before is as good: then the allowance is just this amount.
    /// @param user Owner of the tokens and of the deposit.
    /// @param amount Amount.
    /// @param deadline Until when the permit is good, in Unix seconds.
    /// @param v Part of the signature.
    /// @param r Part of the signature.
    /// @param s Part of the signature.
    function depositWithPermit(address user, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        whenNotPaused
        nonReentrant
    {
        try IERC20Permit(address(token)).permit(user, address(this), amount, deadline, v, r, s) {}
        catch {
            if (token.allowance(user, address(this)) != amount) revert EscrowPermitInvalid(user);
        }
        _deposit(user, user, amount);
    }

    /// @notice Takes money out of the caller's deposit; open always.
    /// @param to Receiver.
    /// @param amount Amount, at most what is not locked.
    function withdraw(address to, uint256 amount) external nonReentrant {
        _requireParty(to);
        _take(msg.sender, amount);
        totalOwed -= amount;
        emit Withdrawn(msg.sender, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @notice Locks part of a deposit for a session; anyone may submit what the user signed.
    /// @param terms What is locked, for what, until when.
    /// @param signature The user's EIP-712 signature; not looked at if the user calls.
    function lock(SessionLock calldata terms, bytes calldata signature) external whenNotPaused {
        _requireParty(terms.user);
        _requireParty(terms.cpo);
        if (terms.sessionId == bytes32(0)) revert EscrowSessionIsZero();
        if (terms.expiry <= block.timestamp || terms.expiry > block.timestamp + LOCK_MAX_SECONDS) {
            revert EscrowExpiryOutOfRange(terms.expiry);
        }
        if (msg.sender != terms.user) _requireSigned(terms.user, lockDigest(terms), signature);
        Payment storage payment = _payments[paymentIdOf(terms.sessionId, terms.user, terms.cpo)];
        if (payment.state != PaymentState.None) revert EscrowPaymentState(payment.state);
        _take(terms.user, terms.maxAmount);
        payment.amount = terms.maxAmount;
        payment.expiry = terms.expiry;
        payment.state = PaymentState.Locked;
        emit Locked(terms.sessionId, terms.user, terms.cpo, terms.maxAmount, terms.expiry);
    }

    /// @notice Gives a lock back to its driver: the operator at any time, anyone from the expiry on; open always.
    /// @param sessionId Key of the session.
    /// @param user The driver.
    /// @param cpo The operator.
    function release(bytes32 sessionId, address user, address cpo) external {
        Payment storage payment = _payments[paymentIdOf(sessionId, user, cpo)];
        if (payment.state != PaymentState.Locked) revert EscrowPaymentState(payment.state);
        if (block.timestamp < payment.expiry && msg.sender != cpo) revert EscrowLockStands(payment.expiry);
        uint256 amount = _unlock(payment, user);
        emit Released(sessionId, user, cpo, amount);
    }

    /// @notice Pays a settled session out of its lock, up to what is locked; the rest is the driver's again.
    /// Anyone may call it until the lock expires. What the lock did not cover, a receipt can pay.
    /// @param row The row that the session was settled with.
    /// @param user The driver.
    /// @param cpo The operator.
    function collect(Settlement.SettlementRow calldata row, address user, address cpo) external whenNotPaused {
        Payment storage payment = _payments[paymentIdOf(row.sessionKey, user, cpo)];
        if (payment.state != PaymentState.Locked) revert EscrowPaymentState(payment.state);
        if (block.timestamp >= payment.expiry) revert EscrowLockExpired(payment.expiry);
        (uint256 due, uint256 left) = _dueOf(row, cpo);
        uint256 locked = _unlock(payment, user);
        _pay(row.sessionKey, user, cpo, left < locked ? left : locked, due);
    }

    /// @notice Pays a settled session by the driver's receipt, out of its lock and the driver's deposit: what
    /// is not paid yet. Anyone may submit it, before and after the lock has ended.
    /// @param row The row that the session was settled with.
    /// @param receipt What the driver agreed to.
    /// @param signature The driver's EIP-712 signature; demanded of the driver as a caller, too.
    function collectWithReceipt(
        Settlement.SettlementRow calldata row,
        DriverReceipt calldata receipt,
        bytes calldata signature
    ) external whenNotPaused {
        _requireParty(receipt.user);
        _requireParty(receipt.cpo);
        if (block.timestamp > receipt.deadline) revert EscrowReceiptExpired(receipt.deadline);
        if (receipt.sessionId != row.sessionKey || receipt.energyWh != row.energyMilliWh / 1000) {
            revert EscrowReceiptOfOtherSession(receipt.sessionId);
        }
        _requireSigned(receipt.user, receiptDigest(receipt), signature);
        Payment storage payment = _payments[paymentIdOf(receipt.sessionId, receipt.user, receipt.cpo)];
        (uint256 due, uint256 left) = _dueOf(row, receipt.cpo);
        if (due > receipt.maxAmount) revert EscrowAmountAboveMaximum(receipt.maxAmount, due);
        if (left == 0 && payment.state != PaymentState.Locked) {
            revert EscrowSessionPaid(receipt.sessionId, receipt.cpo);
        }
        _unlock(payment, receipt.user);
        _pay(receipt.sessionId, receipt.user, receipt.cpo, left, due);
    }

    /// @notice Takes out what the caller was paid; open always.
    /// @param to Receiver.
    function claim(address to) external nonReentrant {
        _requireParty(to);
        uint256 amount = claimableOf[msg.sender];
        if (amount == 0) revert EscrowNothingToClaim(msg.sender);
        claimableOf[msg.sender] = 0;
        totalOwed -= amount;
        emit Claimed(msg.sender, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @notice The lock of a user's money for a session and an operator.
    /// @param sessionId Key of the session.
    /// @param user The driver.
    /// @param cpo The operator.
    /// @return It.
    function paymentOf(bytes32 sessionId, address user, address cpo) external view returns (Payment memory) {
        return _payments[paymentIdOf(sessionId, user, cpo)];
    }

    /// @notice The key of a lock.
    /// @param sessionId Key of the session.
    /// @param user The driver.
    /// @param cpo The operator.
    /// @return It.
    function paymentIdOf(bytes32 sessionId, address user, address cpo) public pure returns (bytes32) {
        return keccak256(abi.encode(sessionId, user, cpo));
    }

    /// @dev Pulls tokens and books what arrived.
    /// @param payer Whose tokens: the caller, or the user who signed a permit.
    /// @param user Whose deposit.
    /// @param amount What is sent.
    function _deposit(address payer, address user, uint256 amount) private {
        _requireParty(user);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(payer, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received == 0) revert EscrowNothingReceived();
        depositOf[user] += received;
        totalOwed += received;
        emit Deposited(user, payer, received);
    }

    /// @dev Takes from a deposit.
    /// @param user Whose deposit.
    /// @param amount Amount.
    function _take(address user, uint256 amount) private {
        uint256 available = depositOf[user];
        if (amount > available) revert EscrowDepositTooSmall(user, available, amount);
        depositOf[user] = available - amount;
    }

    /// @dev Ends a lock for good: what it held is the driver's again.
    /// @param payment The lock, or what stands where none is.
    /// @param user The driver.
    /// @return amount What was locked.
    function _unlock(Payment storage payment, address user) private returns (uint256 amount) {
        amount = payment.amount;
        payment.amount = 0;
        payment.state = PaymentState.Used;
        depositOf[user] += amount;
    }

    /// @dev Pays an operator out of a deposit.
    /// @param sessionId Key of the session.
    /// @param user The driver.
    /// @param cpo The operator.
    /// @param amount What is paid.
    /// @param due What the session costs, less credits.
    function _pay(bytes32 sessionId, address user, address cpo, uint256 amount, uint256 due) private {
        _take(user, amount);
        paidFor[sessionId][cpo] += amount;
        claimableOf[cpo] += amount;
        emit Paid(sessionId, user, cpo, amount, due);
    }

    /// @dev Refuses who could never take money out again.
    /// @param party The address.
    function _requireParty(address party) private view {
        if (party == address(0) || party == address(this)) revert EscrowPartyInvalid(party);
    }

    /// @dev What a session costs, in the token's smallest unit.
    /// @param row The row that it was settled with.
    /// @param cpo The operator who is paid.
    /// @return due What it costs less its credits.
    /// @return left What of it the operator was not paid yet.
    function _dueOf(Settlement.SettlementRow calldata row, address cpo)
        private
        view
        returns (uint256 due, uint256 left)
    {
        if (row.currency != currency) revert EscrowOtherCurrency(row.currency);
        if (settlement.settledContent(row.sessionKey) != keccak256(abi.encode(row))) {
            revert EscrowSessionNotSettled(row.sessionKey);
        }
        (uint64 amountMinor, uint64 creditedMinor) = settlement.settledAmounts(row.sessionKey);
        due = uint256(amountMinor - creditedMinor) * unitsPerMinor;
        uint256 paid = paidFor[row.sessionKey][cpo];
        left = due > paid ? due - paid : 0;
    }
}
