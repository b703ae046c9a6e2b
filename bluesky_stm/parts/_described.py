"""Descriptions of parts: what each is for and what it can be told, for a person, a reference page, or a form."""

from __future__ import annotations

import inspect
from contextlib import suppress

from bluesky_stm.parts._part import Part, is_class
from bluesky_stm.validated import JSON


def describe_part(kind: str, name: str, part: object, package: str) -> JSON:
    """Say what a part is for and what it can be told, as `Parts.describe` returns it.

    Parameters
    ----------
    kind : str
        Kind of the part.
    name : str
        Name by which it is chosen.
    part : type or object
        Its class, or the object.
    package : str
        Name and version of the package that brings it; empty for none.
    """
    schema = part.model_json_schema() if isinstance(part, Part) or is_class(part) else {}
    preset = part if isinstance(part, Part) else None
    return {
        "kind": kind,
        "name": name,
        "package": package or "registered in this process",
        "about": inspect.getdoc(part) or "",
        "units": _units_of(part),
        "settings": [
            _setting(key, field, schema, preset) for key, field in schema.get("properties", {}).items() if key != "name"
        ],
        "schema": schema,
    }


def _units_of(part: object) -> str:
    """Return the unit of its value; of a class, the one that it has with its default settings."""
    one = part.model_construct(name=part.model_fields["name"].default) if is_class(part) else part
    with suppress(AttributeError):  # a setting without a default, on which the unit depends
        return str(getattr(one, "units", ""))
    return ""


def _setting(key: str, field: JSON, schema: JSON, preset: Part | None) -> JSON:
    return {
        "name": key,
        "type": _type_of(field, schema.get("$defs", {})),
        "default": getattr(preset, key) if preset else field.get("default"),
        "units": field.get("units", ""),
        "about": field.get("description", ""),
        "required": key in schema.get("required", ()),
    }


def _type_of(field: JSON, definitions: JSON) -> str:
    """Say in words what a JSON schema takes."""
    if "$ref" in field:
        return _type_of(definitions[field["$ref"].rpartition("/")[2]], definitions)
    if "enum" in field or "const" in field:
        return " | ".join(map(str, field.get("enum", [field.get("const")])))
    if "anyOf" in field:
        return " | ".join(dict.fromkeys(_type_of(one, definitions) for one in field["anyOf"]))
    if field.get("type") == "array":
        inside = field.get("prefixItems") or [field["items"]] if field.get("items") or field.get("prefixItems") else []
        return f"[{', '.join(_type_of(one, definitions) for one in inside)}{'' if 'prefixItems' in field else ', ...'}]"
    return str(field.get("type", "any")).replace("null", "none")
