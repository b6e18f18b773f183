"""Stories that a station plays with a central system, each with a verdict."""
