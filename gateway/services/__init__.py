"""What the system does with facts: ingest, dispatch, settlement, anchoring."""
