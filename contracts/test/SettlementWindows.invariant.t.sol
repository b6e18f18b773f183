// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FlexToken} from "../src/FlexToken.sol";
import {SettlementWindows} from "../src/SettlementWindows.sol";
import {Settlement} from "../src/Settlement.sol";
import {StatusAnchor} from "../src/StatusAnchor.sol";
import {TestBase} from "./Vm.sol";

/// @dev A settler that settles leaves alone, in netted windows and in windows of invoices, in any order.
/// Its books know how often each leaf was settled and which leaves are open, by plain lists.
contract WindowsHandler {
    Settlement public immutable settlement;
    uint64 public constant LEAVES = 48;
    uint256 public surprises;
    uint64 public closed;
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
        uint64 leaf = uint64(seed) % LEAVES;
        Settlement.SettlementRow[] memory rows = new Settlement.SettlementRow[](1);
        bytes32 key = keccak256(abi.encode(++_serial));
        rows[0] = Settlement.SettlementRow(key, leaf, "leaf", 1, 1, "EUR", 0, address(0));
        bool passed;
        try settlement.settleBatch(rows) {
            passed = true;
        } catch {}
        if (passed != (isOpen[leaf] && timesSettled[leaf] == 0)) ++surprises;
        if (passed) ++timesSettled[leaf];
    }

    /// @dev Lists three leaves and leaves two open, of which some are bad choices on purpose.
    function net(uint8 length, uint64 choice) external {
        uint64 to = closed + uint64(length) % 6;
        if (to > LEAVES) to = LEAVES;
        uint64[] memory listed = _draw(choice, 3);
        uint64[] memory open = _draw(choice >> 32, 2);
        bool good = to > closed;
        for (uint256 i = 0; i < listed.length; ++i) {
            if (listed[i] >= to || !isOpen[listed[i]] || timesSettled[listed[i]] != 0) good = false;
        }
        for (uint256 i = 0; i < open.length; ++i) {
            if (open[i] < closed || open[i] >= to) good = false;
            for (uint256 j = 0; j < listed.length; ++j) {
                if (listed[j] == open[i]) good = false;
            }
        }
        bool passed;
        SettlementWindows.NettedRow[] memory none = new SettlementWindows.NettedRow[](0);
        try settlement.settleNetted(SettlementWindows.NettedWindow(closed, to, listed, open, "EUR"), none) {
            passed = true;
        } catch {}
        if (passed != good) ++surprises;
        if (!passed) return;
        for (uint256 i = 0; i < listed.length; ++i) {
            ++timesSettled[listed[i]];
            isOpen[listed[i]] = false;
        }
        _close(to, open);
    }

    function invoice(uint8 length) external {
        uint64 to = closed + uint64(length) % 4;
        bool passed;
        try settlement.recordInvoices(closed, to, "root", 1, new uint64[](0), new uint64[](0)) {
            passed = true;
        } catch {}
        if (passed != (to > closed && to <= LEAVES)) ++surprises;
        if (passed) _close(to, new uint64[](0));
    }

    function _close(uint64 to, uint64[] memory open) private {
        for (uint64 leaf = closed; leaf < to; ++leaf) {
            bool stays = false;
            for (uint256 i = 0; i < open.length; ++i) {
                if (open[i] == leaf) stays = true;
            }
            isOpen[leaf] = stays;
        }
        closed = to;
    }

    /// @dev Rising leaves around the end of what is closed, none or up to `most`.
    function _draw(uint64 choice, uint256 most) private view returns (uint64[] memory list) {
        uint256 count = choice % (most + 1);
        list = new uint64[](count);
        uint64 leaf = closed > 6 ? closed - 6 : 0;
        for (uint256 i = 0; i < count; ++i) {
            choice >>= 4;
            leaf += 1 + choice % 5;
            list[i] = leaf - 1;
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
        for (uint64 leaf = 0; leaf < _handler.LEAVES(); ++leaf) {
            vm.assertTrue(_handler.timesSettled(leaf) <= 1);
            vm.assertEq(
                _settlement.isStartLeafClosed(leaf) ? 1 : 0, _handler.isOpen(leaf) ? uint256(0) : 1, "closed leaves"
            );
        }
    }

    function invariant_WindowsNeitherOverlapNorLeaveGaps() public view {
        vm.assertEq(_settlement.closedBefore(), _handler.closed());
    }
}
