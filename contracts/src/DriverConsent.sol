// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title DriverConsent
/// @notice What drivers sign for the Escrow (EIP-712), and the check of it.
/// @dev Every field is in the signature, and so are the chain and the contract: whoever submits decides nothing.
/// @custom:kill Abstract: stopped with the contract that uses it.
abstract contract DriverConsent is EIP712 {
    /// @notice What a driver signs when a session starts.
    /// @param sessionId Key of the session, as in Settlement.
    /// @param user The driver, whose deposit is locked.
    /// @param cpo The operator who may be paid from it.
    /// @param maxAmount What the session may cost at most, in the token's smallest unit.
    /// @param expiry From when the driver has it back, in Unix seconds.
    struct SessionLock {
        bytes32 sessionId;
        address user;
        address cpo;
        uint128 maxAmount;
        uint64 expiry;
    }

    /// @notice What a driver signs when a session has ended.
    /// @param sessionId Key of the session, as in Settlement.
    /// @param user The driver, who pays.
    /// @param cpo The operator who is paid.
    /// @param energyWh Billed energy in whole Wh.
    /// @param maxAmount What the session may cost at most, in the token's smallest unit.
    /// @param deadline Until when it may be used, in Unix seconds.
    struct DriverReceipt {
        bytes32 sessionId;
        address user;
        address cpo;
        uint256 energyWh;
        uint128 maxAmount;
        uint64 deadline;
    }

    /// @notice EIP-712 type of what is signed at the start.
    bytes32 public constant SESSION_LOCK_TYPEHASH =
        keccak256("SessionLock(bytes32 sessionId,address user,address cpo,uint128 maxAmount,uint64 expiry)");
    /// @notice EIP-712 type of what is signed at the end.
    bytes32 public constant DRIVER_RECEIPT_TYPEHASH = keccak256(
        "DriverReceipt(bytes32 sessionId,address user,address cpo,uint256 energyWh,uint128 maxAmount,uint64 deadline)"
    );

    /// @notice The signature is not the user's over just these fields, for this contract on this chain.
    /// @param user The user.
    error EscrowSignatureInvalid(address user);

    constructor() EIP712("Wattproof Escrow", "1") {}

    /// @notice The EIP-712 digest that a driver signs at the start.
    /// @param terms The fields.
    /// @return The digest.
    function lockDigest(SessionLock calldata terms) public view returns (bytes32) {
        return _hashTypedDataV4(
            keccak256(
                abi.encode(SESSION_LOCK_TYPEHASH, terms.sessionId, terms.user, terms.cpo, terms.maxAmount, terms.expiry)
            )
        );
    }

    /// @notice The EIP-712 digest that a driver signs at the end.
    /// @param receipt The fields.
    /// @return The digest.
    function receiptDigest(DriverReceipt calldata receipt) public view returns (bytes32) {
        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    DRIVER_RECEIPT_TYPEHASH,
                    receipt.sessionId,
                    receipt.user,
                    receipt.cpo,
                    receipt.energyWh,
                    receipt.maxAmount,
                    receipt.deadline
                )
            )
        );
    }

    /// @dev Refuses what the user did not sign.
    /// @param user The user: a key, or a contract wallet (ERC-1271).
    /// @param digest What is to be signed.
    /// @param signature The signature.
    function _requireSigned(address user, bytes32 digest, bytes calldata signature) internal view {
        if (!SignatureChecker.isValidSignatureNowCalldata(user, digest, signature)) {
            revert EscrowSignatureInvalid(user);
        }
    }
}
