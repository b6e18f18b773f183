"""The durable store: one writer with group commit, read models beside it."""
