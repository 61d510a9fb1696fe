"""The page about the API: its OpenAPI document as HTML, made here: no script, no network."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

Document = Mapping[str, Any]

_PAGE = Markup(
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>digitlab: the API</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
    '<link rel="icon" href="/static/icon.svg" type="image/svg+xml">'
    '<link rel="stylesheet" href="/static/style.css">'
    '<link rel="stylesheet" href="/static/reference.css"></head>'
    '<body><header class="bar"><a class="brand" href="/">digitlab</a></header>'
    '<main class="reference"><h1>{title}</h1>{text}{contents}{sections}</main></body></html>'
)
_DEEPEST = 3
"""Objects in objects that are shown; the document itself has all."""


def reference_page(document: Document) -> str:
    """The page of an OpenAPI document."""
    groups: dict[str, list[tuple[str, str, Document]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(next(iter(operation.get("tags", [])), "others"), []).append(
                (method.upper(), path, operation)
            )
    contents = Markup("").join(
        Markup('<li><a href="#{0}">{1}</a></li>').format(_id(name), _title(name)) for name in groups
    )
    return _PAGE.format(
        title=f"The API of digitlab {document['info']['version']}",
        text=_text(document["info"].get("description", ""))
        + Markup('<p><a href="/api/openapi.json">The same as an OpenAPI document.</a></p>'),
        contents=Markup('<nav aria-label="Contents"><ul>{}</ul></nav>').format(contents),
        sections=Markup("").join(_section(name, found, document) for name, found in groups.items()),
    )


def _section(name: str, operations: list[tuple[str, str, Document]], document: Document) -> Markup:
    return Markup('<section aria-labelledby="{0}"><h2 id="{0}">{1}</h2>{2}</section>').format(
        _id(name), _title(name), Markup("").join(_operation(*each, document) for each in operations)
    )


def _operation(method: str, path: str, operation: Document, document: Document) -> Markup:
    parts = [
        Markup("<h3><code>{} {}</code></h3>").format(method, path),
        _text(operation.get("description") or operation.get("summary", "")),
    ]
    if parameters := operation.get("parameters"):
        rows = [
            (each["name"], _type(each["schema"], document), _notes(each["schema"], each), each["in"])
            for each in parameters
        ]
        parts.append(_table("Parameters", ("name", "type", "what it is", "where"), rows))
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(_schema(f"Request, {kind}", body["schema"], document))
    for status, answer in operation.get("responses", {}).items():
        for kind, content in answer.get("content", {}).items() if status < "300" else ():
            parts.append(_schema(f"Answer {status}, {kind}", content.get("schema", {}), document))
    return Markup('<article class="card">{}</article>').format(Markup("").join(parts))


def _schema(title: str, schema: Document, document: Document) -> Markup:
    rows = list(_fields(schema, document, ""))
    if rows:
        return _table(title, ("field", "type", "what it is"), rows)
    return Markup("<p>{}: {}</p>").format(title, _type(schema, document))


def _fields(
    schema: Document, document: Document, prefix: str, depth: int = 0
) -> Iterator[tuple[str, str, str]]:
    """Name, type and text of each field of an object, and of the objects in it."""
    found = _object_in(schema, document)
    if found is None or depth >= _DEEPEST:
        return
    for name, inner in found.get("properties", {}).items():
        yield f"{prefix}{name}", _type(inner, document), _notes(inner)
        yield from _fields(inner, document, f"{prefix}{name}.", depth + 1)


def _object_in(schema: Document, document: Document) -> Document | None:
    """The object that a schema is, or of which it is a list, or which it may be."""
    schema = _resolved(schema, document)
    if "properties" in schema:
        return schema
    inner = schema.get("items") or next(iter(schema.get("anyOf", ())), None)
    return _object_in(inner, document) if isinstance(inner, Mapping) and inner else None


def _resolved(schema: Document, document: Document) -> Document:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Document = document["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def _type(schema: Document, document: Document) -> str:
    schema = _resolved(schema, document)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(each, document) for each in schema["anyOf"]))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    if schema.get("type") == "array":
        inner = schema.get("items") or {}
        return f"list of {_type(inner, document)}" if inner else "list"
    if schema.get("format") == "binary":
        return "bytes"
    return str(schema.get("type", "any"))


_BOUNDS = {"minimum": "from", "maximum": "to", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}


def _notes(schema: Document, parameter: Document | None = None) -> str:
    """What is said of a field, with its bounds and its default."""
    described = (parameter or {}).get("description") or schema.get("description") or ""
    bounds = [f"{words} {schema[name]:,}" for name, words in _BOUNDS.items() if name in schema]
    default = f"default {json.dumps(schema['default'])}" if schema.get("default") is not None else ""
    return " ".join(filter(None, [described, ", ".join(filter(None, [*bounds, default]))]))


def _table(title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Markup:
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in heads)
    body = Markup("").join(
        Markup('<tr><th scope="row"><code>{}</code></th>{}</tr>').format(
            row[0], Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row[1:])
        )
        for row in rows
    )
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{0}">'
        '<table class="table"><caption>{0}</caption>'
        "<thead><tr>{1}</tr></thead><tbody>{2}</tbody></table></div>"
    ).format(title, head, body)


def _text(text: str) -> Markup:
    paragraphs = [" ".join(each.split()) for each in text.split("\n\n") if each.strip()]
    return Markup("").join(Markup("<p>{}</p>").format(each) for each in paragraphs)


def _id(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]
