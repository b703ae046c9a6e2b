"""Storage of documents: the journal keeps them all, the catalog finds them again.

>>> catalog = open_catalog("~/stm")  # doctest: +SKIP
>>> RE.subscribe(catalog)  # doctest: +SKIP
>>> catalog[-1].spectra  # doctest: +SKIP

The names stand in ``__init__.pyi`` beside; each is loaded when it is used first, so that a list of runs loads no file format.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
