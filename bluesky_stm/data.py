"""Names for plain values, of which documents and settings are made; they load nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

JSON = dict[str, Any]
"""A JSON object: text, numbers, booleans, None, lists and objects."""

Data = Mapping[str, Any]
"""Values by name that are only read: a document, the data of an Event, settings as they come from JSON or YAML."""
