// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Stoppable} from "./Stoppable.sol";

/// @title Handover
/// @notice Exchanges the one contract that another one trusts, a week after everybody was told.
/// @dev Settlement trusts one StatusAnchor and FlexToken one minter. Either can become useless for good (a
/// stolen key anchored a foreign head; a fault was found), and what trusts it must not die with it. A
/// week is the time to see the announcement, to stop it, or to redeem. Announcing again begins anew.
/// @custom:kill A holder of PAUSER_ROLE, or the admin, calls `cancelHandover()`.
abstract contract Handover is Stoppable {
    /// @notice How long an announcement stands before it can be completed.
    uint64 public constant HANDOVER_DELAY_SECONDS = 7 days;

    /// @notice The contract announced; zero when none is.
    address public successor;
    /// @notice From when it can take over, in Unix seconds; zero when none is announced.
    uint64 public successorFrom;

    /// @notice Another contract is to take over.
    /// @param successor The contract.
    /// @param from From when it can, in Unix seconds.
    event HandoverAnnounced(address indexed successor, uint64 from);
    /// @notice An announcement was taken back.
    /// @param successor The contract that does not take over.
    event HandoverCancelled(address indexed successor);
    /// @notice Another contract has taken over.
    /// @param successor The contract.
    event HandedOver(address indexed successor);

    /// @notice The address announced is no contract.
    /// @param account The address.
    error HandoverHasNoCode(address account);
    /// @notice Nothing is announced.
    error HandoverNotAnnounced();
    /// @notice The announcement has not stood long enough.
    /// @param from From when it can be completed, in Unix seconds.
    error HandoverTooEarly(uint64 from);

    /// @notice Announces the contract that is to take over.
    /// @param successor_ The contract.
    function announceHandover(address successor_) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (successor_.code.length == 0) revert HandoverHasNoCode(successor_);
        successor = successor_;
        successorFrom = uint64(block.timestamp) + HANDOVER_DELAY_SECONDS;
        emit HandoverAnnounced(successor_, successorFrom);
    }

    /// @notice Takes the announcement back: the pauser or the admin.
    function cancelHandover() external {
        if (!hasRole(PAUSER_ROLE, msg.sender)) _checkRole(DEFAULT_ADMIN_ROLE);
        emit HandoverCancelled(_takeSuccessor());
    }

    /// @notice Lets the announced contract take over, once the announcement has stood long enough.
    function completeHandover() external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (block.timestamp < successorFrom) revert HandoverTooEarly(successorFrom);
        address next = _takeSuccessor();
        emit HandedOver(next);
        _handOver(next);
    }

    /// @dev Trusts the new contract instead of the old one.
    /// @param next The new contract.
    function _handOver(address next) internal virtual;

    /// @dev Ends an announcement.
    /// @return next The contract that was announced.
    function _takeSuccessor() private returns (address next) {
        next = successor;
        if (next == address(0)) revert HandoverNotAnnounced();
        successor = address(0);
        successorFrom = 0;
    }
}
