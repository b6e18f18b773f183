// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FlexToken} from "../src/FlexToken.sol";
import {SettlementWindows} from "../src/SettlementWindows.sol";
import {Settlement} from "../src/Settlement.sol";
import {StatusAnchor} from "../src/StatusAnchor.sol";
import {TestBase} from "./Vm.sol";

/// @dev A settler that settles leaves alone, in netted windows and in windows of invoices, in any order.
/// Its books know how often each leaf was settled and which leaves are open. Most windows are right; in every
/// other one a leaf is listed or left open that may be wrong: settled, closed, in both lists or outside. One in
/// eight begins a leaf too early or too late.
contract WindowsHandler {
    Settlement public immutable settlement;
    uint64 public constant LEAVES = 192;
    /// @dev Windows look back so far for leaves that were left open, or settled since.
    uint64 private constant _BACK = 12;
    uint256 public surprises;
    uint64 public closed;
    uint256 public misplaced;
    mapping(uint64 leaf => uint256 times) public timesSettled;
    mapping(uint64 leaf => bool isOpen) public isOpen;
    uint256 private _serial;

    constructor(Settlement settlement_) {
        settlement = settlement_;
        for (uint64 leaf = 0; leaf < LEAVES; ++leaf) {
            isOpen[leaf] = true;
        }
    }

    function settleAlone(uint8 seed) external {
        uint64 leaf = _low() + uint64(seed) % 20;
        Settlement.SettlementRow[] memory rows = new Settlement.SettlementRow[](1);
        bytes32 key = keccak256(abi.encode(++_serial));
        rows[0] = Settlement.SettlementRow(key, leaf, "leaf", 1, 1, "EUR", 0, address(0));
        bool passed;
        try settlement.settleBatch(rows) {
            passed = true;
        } catch {}
        if (passed != (_isFree(leaf) || (leaf >= LEAVES && timesSettled[leaf] == 0))) ++surprises;
        if (passed) ++timesSettled[leaf];
    }

    function net(uint256 seed) external {
        (uint64 to, uint256 listed, uint256 open, bool good) = _draw(seed);
        SettlementWindows.NettedRow[] memory none = new SettlementWindows.NettedRow[](0);
        bool passed;
        try settlement.settleNetted(
            SettlementWindows.NettedWindow(_from(seed), to, _list(listed), _list(open), "EUR"), none
        ) {
            passed = true;
        } catch {}
        _note(passed, good, seed, to, listed, open);
    }

    function invoice(uint256 seed) external {
        (uint64 to, uint256 listed, uint256 open, bool good) = _draw(seed);
        bool passed;
        try settlement.recordInvoices(_from(seed), to, "root", 99, _list(listed), _list(open)) {
            passed = true;
        } catch {}
        _note(passed, good, seed, to, listed, open);
    }

    /// @dev Where a window begins.
    function _from(uint256 seed) private view returns (uint64) {
        if ((seed >> 32) % 8 != 0) return closed;
        return closed == 0 || (seed >> 40) % 2 == 0 ? closed + 1 : closed - 1;
    }

    /// @dev Draws a window: its lists as bits, and whether it is right.
    function _draw(uint256 seed) private view returns (uint64 to, uint256 listed, uint256 open, bool good) {
        to = closed + uint64(seed % 7);
        if ((seed >> 24) % 16 == 0) to = LEAVES + 1 + uint64(seed % 7);
        for (uint64 leaf = _low(); leaf < to; ++leaf) {
            uint256 dice = uint256(keccak256(abi.encode(seed, leaf))) % 4;
            if (!_isFree(leaf)) continue;
            if (dice < 2) listed |= 1 << leaf;
            else if (dice == 2 && leaf >= closed) open |= 1 << leaf;
        }
        uint256 odd = 1 << (_low() + uint64((seed >> 16) % (_BACK + 8)));
        if ((seed >> 8) % 4 == 0) listed |= odd;
        if ((seed >> 8) % 4 == 1) open |= odd;
        good = _from(seed) == closed && to > closed && to <= LEAVES && listed & open == 0;
        for (uint64 leaf = 0; leaf < 256; ++leaf) {
            if (listed >> leaf & 1 == 1 && (leaf >= to || !_isFree(leaf))) good = false;
            if (open >> leaf & 1 == 1 && (leaf < closed || leaf >= to)) good = false;
        }
    }

    /// @dev Notes what became of a window, in the books.
    function _note(bool passed, bool good, uint256 seed, uint64 to, uint256 listed, uint256 open) private {
        if (passed != good) ++surprises;
        if (!passed) return;
        if (_from(seed) != closed) ++misplaced;
        for (uint64 leaf = _low(); leaf < to; ++leaf) {
            if (listed >> leaf & 1 == 1) {
                ++timesSettled[leaf];
                isOpen[leaf] = false;
            } else if (leaf >= closed) {
                isOpen[leaf] = open >> leaf & 1 == 1;
            }
        }
        closed = to;
    }

    function _isFree(uint64 leaf) private view returns (bool) {
        return isOpen[leaf] && timesSettled[leaf] == 0;
    }

    function _low() private view returns (uint64) {
        return closed > _BACK ? closed - _BACK : 0;
    }

    /// @dev The leaves of a set, rising.
    function _list(uint256 bits) private pure returns (uint64[] memory list) {
        uint64[256] memory found;
        uint256 count = 0;
        for (uint64 leaf = 0; leaf < 256; ++leaf) {
            if (bits >> leaf & 1 == 1) found[count++] = leaf;
        }
        list = new uint64[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = found[i];
        }
    }
}

contract SettlementWindowsInvariantTest is TestBase {
    Settlement private _settlement;
    WindowsHandler private _handler;
    address[] private _targets;

    function setUp() public {
        FlexToken token = new FlexToken(ADMIN);
        StatusAnchor anchor = new StatusAnchor(ADMIN);
        _settlement = new Settlement(ADMIN, address(token), address(anchor));
        _handler = new WindowsHandler(_settlement);
        vm.startPrank(ADMIN);
        anchor.grantRole(anchor.ANCHORER_ROLE(), ADMIN);
        anchor.anchor(_handler.LEAVES(), "root", new bytes32[](0), "");
        _settlement.grantRole(_settlement.SETTLER_ROLE(), address(_handler));
        vm.stopPrank();
        _targets.push(address(_handler));
    }

    /// @dev Read by forge: calls go to the handler only.
    function targetContracts() external view returns (address[] memory) {
        return _targets;
    }

    function invariant_EveryLeafSettlesOnceWhicheverWay() public view {
        vm.assertEq(_handler.surprises(), 0);
        uint64 closed = _handler.closed();
        for (uint64 leaf = closed < 16 ? 0 : closed - 16; leaf < closed + 4; ++leaf) {
            vm.assertTrue(_handler.timesSettled(leaf) <= 1);
            vm.assertEq(
                _settlement.isStartLeafClosed(leaf) ? 1 : 0,
                leaf >= closed || _handler.isOpen(leaf) ? 0 : 1,
                "closed leaves"
            );
        }
    }

    function invariant_WindowsNeitherOverlapNorLeaveGaps() public view {
        vm.assertEq(_settlement.closedBefore(), _handler.closed());
        vm.assertEq(_handler.misplaced(), 0);
    }
}
