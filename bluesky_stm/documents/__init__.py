"""The documents of a run: the names of its streams, and the router on which everything stands that reads documents."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
