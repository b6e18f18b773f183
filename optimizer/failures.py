"""What a solver reports when it has nothing to give."""


class SolverFailedError(Exception):
    """One solver gave no usable answer; the chain goes on with the next."""
