"""The central system: from a charger's frame to a bill that anyone can verify."""
