"""OCPP 1.6J and 2.0.1: frames, schemas and the two dialects; pure."""
