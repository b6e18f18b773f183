// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {StatusAnchor} from "../src/StatusAnchor.sol";
import {Tree} from "./Tree.sol";
import {TestBase} from "./Vm.sol";

/// @dev An operator that anchors an honest log and now and then tries something else. It predicts each
/// verdict itself and remembers every surprise, so a refusal that is missing cannot pass unnoticed.
contract StatusAnchorHandler {
    StatusAnchor public immutable anchor;
    uint64 public expectedSize;
    uint256 public accepted;
    uint256 public surprises;

    uint64 private constant _LOG_SIZE = 48;
    bytes32[] private _honest;
    bytes32[] private _forged;

    constructor(StatusAnchor anchor_) {
        anchor = anchor_;
        _honest = Tree.leaves(6, _LOG_SIZE);
        _forged = Tree.leaves(6, _LOG_SIZE);
        _forged[0] ^= bytes32(uint256(1));
    }

    function expectedRoot() external view returns (bytes32) {
        return expectedSize == 0 ? bytes32(0) : Tree.root(_honest, expectedSize);
    }

    function anchorHonest(uint64 step) external {
        uint64 newSize = expectedSize + step % 4;
        if (newSize > _LOG_SIZE) newSize = _LOG_SIZE;
        bool shouldPass = newSize > expectedSize;
        bytes32 root = newSize == 0 ? bytes32(uint256(1)) : Tree.root(_honest, newSize);
        bytes32[] memory proof = Tree.consistency(_honest, expectedSize, newSize);
        if (_passes(newSize, root, proof, new bytes(13 * (step % 3))) != shouldPass) ++surprises;
        if (shouldPass) {
            expectedSize = newSize;
            ++accepted;
        }
    }

    function anchorForged(uint64 sizeSeed) external {
        if (expectedSize == 0) return;
        uint64 newSize = 1 + sizeSeed % _LOG_SIZE;
        uint64 oldSize = expectedSize < newSize ? expectedSize : newSize;
        bytes32[] memory proof = Tree.consistency(_forged, oldSize, newSize);
        if (_passes(newSize, Tree.root(_forged, newSize), proof, "")) ++surprises;
    }

    function anchorShrunk(uint64 sizeSeed) external {
        if (expectedSize == 0) return;
        uint64 newSize = 1 + sizeSeed % expectedSize;
        bytes32[] memory proof = Tree.consistency(_honest, newSize, expectedSize);
        if (_passes(newSize, Tree.root(_honest, newSize), proof, "")) ++surprises;
    }

    function anchorUnproven(uint64 sizeSeed, bytes32 root, bytes32[] calldata proof) external {
        if (expectedSize == 0) return;
        if (_passes(expectedSize + 1 + sizeSeed % 9, root, proof, "")) ++surprises;
    }

    function _passes(uint64 size, bytes32 root, bytes32[] memory proof, bytes memory packed) private returns (bool) {
        try anchor.anchor(size, root, proof, packed) {
            return true;
        } catch {
            return false;
        }
    }
}

contract StatusAnchorInvariantTest is TestBase {
    StatusAnchor private _anchor;
    StatusAnchorHandler private _handler;
    address[] private _targets;

    function setUp() public {
        _anchor = new StatusAnchor(ADMIN);
        _handler = new StatusAnchorHandler(_anchor);
        bytes32 role = _anchor.ANCHORER_ROLE();
        vm.prank(ADMIN);
        _anchor.grantRole(role, address(_handler));
        _targets.push(address(_handler));
    }

    /// @dev Read by forge: calls go to the handler only.
    function targetContracts() external view returns (address[] memory) {
        return _targets;
    }

    function invariant_TheHeadIsAlwaysTheHonestLog() public view {
        (uint64 size, bytes32 root,) = _anchor.head();
        vm.assertEq(size, _handler.expectedSize());
        vm.assertEq(root, _handler.expectedRoot());
    }

    function invariant_EveryVerdictIsAsPredicted() public view {
        vm.assertEq(_handler.surprises(), 0);
    }
}
