"""The HTTP API: reads the store, calls services, computes nothing."""
