"""Scalarizers: from a spectrum to the scalar property that an agent predicts, or to the reason why there is none.

They are chosen by name, with settings: ``make_scalarizer("gap")``, ``make_scalarizer({"name": "gap", "prefer": "small"})``.
An agent seeks large values; ``prefer`` changes the sign of any scalarizer, and ``weighted_sum`` combines several. Those
of the curve dI/dV take the normalised conductance for it where they are told ``normalized=true``.

The names stand in ``__init__.pyi`` beside; each is loaded when it is used first.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
