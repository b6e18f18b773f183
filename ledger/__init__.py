"""The evidence of a charging site: records, log, anchors and their verifier.

The package imports nothing of the gateway, so that an auditor can install it alone.
Offline verification needs the standard library only; the chain needs web3 or py-evm.
"""
