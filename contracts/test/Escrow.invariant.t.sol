// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DriverConsent} from "../src/DriverConsent.sol";
import {Escrow} from "../src/Escrow.sol";
import {FlexToken} from "../src/FlexToken.sol";
import {Settlement} from "../src/Settlement.sol";
import {StatusAnchor} from "../src/StatusAnchor.sol";
import {Coin} from "./Coins.sol";
import {TestBase, Vm} from "./Vm.sol";

/// @dev Two drivers, two operators and two sessions, a pauser and the clock. It keeps its own books,
/// predicts each verdict from them and remembers every surprise. Every session costs 300 units.
contract EscrowHandler {
    Vm private constant _VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 public constant SESSIONS = 2;
    uint256 public constant COST = 300;

    address[] private _users;
    Escrow public immutable escrow;
    Coin public immutable coin;
    uint256 public surprises;
    bool public isPaused;
    mapping(address user => uint256 amount) public deposits;
    mapping(address cpo => uint256 amount) public claims;
    mapping(address cpo => uint256 amount) public everPaid;
    mapping(bytes32 paymentId => uint256 amount) public locked;
    mapping(bytes32 paymentId => uint256 expiry) public expiryOf;
    mapping(bytes32 paymentId => bool isUsed) public isUsed;
    mapping(bytes32 sessionAndCpo => uint256 amount) public paid;

    constructor(Escrow escrow_, Coin coin_) {
        escrow = escrow_;
        coin = coin_;
        for (uint256 i = 0; i < 2; ++i) {
            _users.push(_VM.addr(0xD000 + i));
        }
    }

    function user(uint256 seed) public view returns (address) {
        return _users[seed % 2];
    }

    function cpo(uint256 seed) public pure returns (address) {
        return address(uint160(0xC000 + seed % 2));
    }

    function row(uint256 seed) public pure returns (Settlement.SettlementRow memory) {
        uint64 session = uint64(seed % SESSIONS);
        bytes32 key = keccak256(abi.encode("session", session));
        return Settlement.SettlementRow(key, session, "leaf", 5_000_000, uint64(COST), "EUR", 0, address(0));
    }

    function paymentId(uint256 session, uint256 u, uint256 c) public view returns (bytes32) {
        return keccak256(abi.encode(row(session).sessionKey, user(u), cpo(c)));
    }

    function isLocked(bytes32 id) public view returns (bool) {
        return expiryOf[id] != 0 && !isUsed[id];
    }

    function leftOf(uint256 session, uint256 c) public view returns (uint256) {
        return COST - paid[keccak256(abi.encode(row(session).sessionKey, cpo(c)))];
    }

    function deposit(uint8 u, uint16 amount) external {
        coin.give(user(u), amount);
        _VM.startPrank(user(u));
        coin.approve(address(escrow), amount);
        bool passed;
        try escrow.deposit(user(u), amount) {
            passed = true;
        } catch {}
        _VM.stopPrank();
        _expect(passed, !isPaused && amount != 0);
        if (passed) deposits[user(u)] += amount;
    }

    function withdraw(uint8 u, uint16 amount, uint8 receiver) external {
        (address to, bool good) = _receiver(receiver, user(u));
        _VM.prank(user(u));
        bool passed;
        try escrow.withdraw(to, amount) {
            passed = true;
        } catch {}
        _expect(passed, good && amount <= deposits[user(u)]);
        if (passed) deposits[user(u)] -= amount;
    }

    function lock(uint8 session, uint8 u, uint8 c, uint16 amount, uint8 hoursAhead) external {
        bytes32 id = paymentId(session, u, c);
        uint64 expiry = uint64(block.timestamp + (hoursAhead > 250 ? 169 : uint256(hoursAhead % 24)) * 1 hours);
        DriverConsent.SessionLock memory terms =
            DriverConsent.SessionLock(row(session).sessionKey, user(u), cpo(c), uint128(amount % 1000), expiry);
        _VM.prank(user(u));
        bool passed;
        try escrow.lock(terms, "") {
            passed = true;
        } catch {}
        bool inTime = expiry > block.timestamp && expiry <= block.timestamp + 7 days;
        _expect(passed, !isPaused && inTime && !isUsed[id] && expiryOf[id] == 0 && terms.maxAmount <= deposits[user(u)]);
        if (!passed) return;
        deposits[user(u)] -= terms.maxAmount;
        locked[id] = terms.maxAmount;
        expiryOf[id] = expiry;
    }

    function release(uint8 session, uint8 u, uint8 c, bool byCpo) external {
        bytes32 id = paymentId(session, u, c);
        _VM.prank(byCpo ? cpo(c) : user(u));
        bool passed;
        try escrow.release(row(session).sessionKey, user(u), cpo(c)) {
            passed = true;
        } catch {}
        _expect(passed, isLocked(id) && (byCpo || block.timestamp >= expiryOf[id]));
        if (passed) _unlock(id, user(u));
    }

    function collect(uint8 session, uint8 u, uint8 c) external {
        bytes32 id = paymentId(session, u, c);
        bool passed;
        try escrow.collect(row(session), user(u), cpo(c)) {
            passed = true;
        } catch {}
        _expect(passed, !isPaused && isLocked(id) && block.timestamp < expiryOf[id]);
        if (!passed) return;
        uint256 left = leftOf(session, c);
        uint256 amount = locked[id] < left ? locked[id] : left;
        _unlock(id, user(u));
        _pay(session, user(u), cpo(c), amount);
    }

    function collectWithReceipt(uint8 session, uint8 u, uint8 c, uint8 signer, uint8 other) external {
        bool otherSession = other % 5 == 0;
        if (signer % 5 != 0) signer = u;
        bytes32 id = paymentId(session, u, c);
        bool good = !otherSession && signer % 2 == u % 2 && deposits[user(u)] + locked[id] >= leftOf(session, c);
        DriverConsent.DriverReceipt memory receipt = _receipt(session, u, c);
        if (otherSession) receipt.sessionId = row(uint256(session) + 1).sessionKey;
        bytes memory signature = _sign(signer, receipt);
        bool passed;
        try escrow.collectWithReceipt(row(session), _receipt(session, u, c), signature) {
            passed = true;
        } catch {}
        uint256 left = leftOf(session, c);
        _expect(passed, !isPaused && good && (left != 0 || isLocked(id)));
        if (!passed) return;
        _unlock(id, user(u));
        _pay(session, user(u), cpo(c), left);
    }

    function claim(uint8 c, uint8 receiver) external {
        (address to, bool good) = _receiver(receiver, cpo(c));
        _VM.prank(cpo(c));
        bool passed;
        try escrow.claim(to) {
            passed = true;
        } catch {}
        _expect(passed, good && claims[cpo(c)] != 0);
        if (passed) claims[cpo(c)] = 0;
    }

    function switchPause(uint8 seed) external {
        bool pausing = seed % 3 == 0;
        if (pausing == isPaused) return;
        if (pausing) escrow.pause();
        else escrow.unpause();
        isPaused = pausing;
    }

    function wait(uint16 seconds_) external {
        _VM.warp(block.timestamp + seconds_);
    }

    function _receipt(uint256 session, uint256 u, uint256 c) private view returns (DriverConsent.DriverReceipt memory) {
        return DriverConsent.DriverReceipt(
            row(session).sessionKey, user(u), cpo(c), 5000, uint128(COST), uint64(block.timestamp)
        );
    }

    function _sign(uint256 signer, DriverConsent.DriverReceipt memory receipt) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = _VM.sign(0xD000 + signer % 2, escrow.receiptDigest(receipt));
        return abi.encodePacked(r, s, v);
    }

    function _expect(bool passed, bool predicted) private {
        if (passed != predicted) ++surprises;
    }

    function _unlock(bytes32 id, address owner) private {
        isUsed[id] = true;
        deposits[owner] += locked[id];
        locked[id] = 0;
    }

    function _pay(uint256 session, address payer, address payee, uint256 amount) private {
        paid[keccak256(abi.encode(row(session).sessionKey, payee))] += amount;
        deposits[payer] -= amount;
        claims[payee] += amount;
        everPaid[payee] += amount;
    }

    /// @dev One receiver in eight is one from whom nobody gets the money back.
    function _receiver(uint256 seed, address own) private view returns (address to, bool good) {
        if (seed % 16 == 0) return (address(escrow), false);
        if (seed % 16 == 1) return (address(0), false);
        return (own, true);
    }
}

contract EscrowInvariantTest is TestBase {
    Coin private _coin;
    Escrow private _escrow;
    EscrowHandler private _handler;
    address[] private _targets;

    function setUp() public {
        vm.warp(1_800_000_000);
        _coin = new Coin();
        FlexToken flex = new FlexToken(ADMIN);
        Settlement settlement = new Settlement(ADMIN, address(flex), address(new StatusAnchor(ADMIN)));
        _escrow = new Escrow(ADMIN, address(_coin), address(settlement), "EUR", 1);
        _handler = new EscrowHandler(_escrow, _coin);
        Settlement.SettlementRow[] memory rows = new Settlement.SettlementRow[](_handler.SESSIONS());
        for (uint256 i = 0; i < rows.length; ++i) {
            rows[i] = _handler.row(i);
        }
        vm.startPrank(ADMIN);
        settlement.grantRole(settlement.SETTLER_ROLE(), ADMIN);
        settlement.settleBatch(rows);
        _escrow.grantRole(_escrow.PAUSER_ROLE(), address(_handler));
        _escrow.grantRole(bytes32(0), address(_handler));
        vm.stopPrank();
        _targets.push(address(_handler));
    }

    /// @dev Read by forge: calls go to the handler only.
    function targetContracts() external view returns (address[] memory) {
        return _targets;
    }

    /// forge-config: default.invariant.depth = 128
    function invariant_EveryVerdictIsAsPredictedPausedOrNot() public view {
        vm.assertEq(_handler.surprises(), 0);
    }

    /// forge-config: default.invariant.depth = 128
    function invariant_TheBalanceIsWhatIsOwed() public view {
        uint256 owed = 0;
        for (uint256 u = 0; u < 2; ++u) {
            owed += _escrow.depositOf(_handler.user(u));
            vm.assertEq(_escrow.depositOf(_handler.user(u)), _handler.deposits(_handler.user(u)));
        }
        for (uint256 c = 0; c < 2; ++c) {
            owed += _escrow.claimableOf(_handler.cpo(c));
            vm.assertEq(_escrow.claimableOf(_handler.cpo(c)), _handler.claims(_handler.cpo(c)));
        }
        for (uint256 i = 0; i < _handler.SESSIONS() * 4; ++i) {
            (uint256 session, uint256 u, uint256 c) = (i / 4, i / 2 % 2, i % 2);
            uint256 amount =
                _escrow.paymentOf(_handler.row(session).sessionKey, _handler.user(u), _handler.cpo(c)).amount;
            vm.assertEq(amount, _handler.locked(_handler.paymentId(session, u, c)));
            owed += amount;
        }
        vm.assertEq(_escrow.totalOwed(), owed);
        vm.assertEq(_coin.balanceOf(address(_escrow)), owed);
    }

    /// forge-config: default.invariant.depth = 128
    function invariant_ASessionIsPaidOnceAndOperatorsHaveWhatTheyWerePaid() public view {
        for (uint256 i = 0; i < _handler.SESSIONS() * 2; ++i) {
            uint256 paid = _escrow.paidFor(_handler.row(i / 2).sessionKey, _handler.cpo(i % 2));
            vm.assertEq(paid, _handler.COST() - _handler.leftOf(i / 2, i % 2));
            vm.assertTrue(paid <= _handler.COST());
        }
        for (uint256 c = 0; c < 2; ++c) {
            address cpo = _handler.cpo(c);
            vm.assertEq(_coin.balanceOf(cpo) + _escrow.claimableOf(cpo), _handler.everPaid(cpo));
        }
    }

    /// @dev Asked in every state, paused ones too; forge forgets what an invariant moves.
    /// forge-config: default.invariant.depth = 128
    function invariant_EverybodyTakesOutAllTheyHavePausedOrNot() public {
        for (uint256 i = 0; i < 2; ++i) {
            address user = _handler.user(i);
            uint256 amount = _escrow.depositOf(user);
            uint256 before = _coin.balanceOf(user);
            vm.prank(user);
            _escrow.withdraw(user, amount);
            vm.assertEq(_coin.balanceOf(user), before + amount);
            address cpo = _handler.cpo(i);
            if (_escrow.claimableOf(cpo) == 0) continue;
            vm.prank(cpo);
            _escrow.claim(cpo);
        }
    }
}
