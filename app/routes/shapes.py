"""Shapes that several routes share: documented bodies, problems, and the Prefer header."""

from typing import Any, Final

from fastapi import Request

from app.schemas import EditBody

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "code", "message", "param"],
            "properties": {
                "type": {"type": "string"},
                "code": {"type": "string"},
                "message": {"type": "string"},
                "param": {"type": ["string", "null"]},
            },
        }
    },
}
_SAID: Final = {
    400: "Malformed.",
    401: "No valid key.",
    403: "Not allowed.",
    404: "No such thing.",
    405: "Not by this method.",
    408: "Not finished in the time the server waits; ask again.",
    409: "Does not fit the state it is in.",
    413: "Too large.",
    415: "Of a type that is not read.",
    422: "Understood, but impossible.",
    429: "Too many; see Retry-After.",
    503: "Not ready.",
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": said, "content": {"application/json": {"schema": _ERROR}}}
    for status, said in _SAID.items()
}


def request_of(json_schema: dict[str, Any], form_files: tuple[str, ...]) -> dict[str, Any]:
    """Return the OpenAPI description of a body that is JSON, or a form with files."""
    properties = dict(json_schema["properties"])
    form = {
        name: {"type": "string", "format": "binary"} if name in form_files else schema
        for name, schema in properties.items()
    }
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": json_schema},
                "multipart/form-data": {"schema": {**json_schema, "properties": form}},
            },
        }
    }


def inlined(model: type[Any]) -> dict[str, Any]:
    """Return a model's JSON schema without references."""
    schema: dict[str, Any] = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolve(definitions[node["$ref"].rpartition("/")[2]])
            return {key: resolve(value) for key, value in node.items()}
        return [resolve(value) for value in node] if isinstance(node, list) else node

    return resolve(schema)


EDIT_REQUEST: Final = request_of(inlined(EditBody), ("image", "mask"))


def preferred_wait(request: Request, longest: float, otherwise: float = 0.0) -> float:
    """Return how many seconds the client prefers to wait; what is not understood is ignored (RFC 7240)."""
    said: dict[str, str] = {}
    for preference in ",".join(request.headers.getlist("prefer")).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        said.setdefault(name.strip().lower(), value.strip().strip('"'))
    if said.get("wait", "").isdecimal():
        return min(float(said["wait"]), longest)
    return 0.0 if "respond-async" in said else min(otherwise, longest)
