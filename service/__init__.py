"""The HTTP API, its contract with the workers, and the client. The version here is that of the whole distribution."""

__version__ = "0.1.0"
