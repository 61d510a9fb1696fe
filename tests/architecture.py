"""The architecture, held by a walk through the source: who may import whom, and where."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "digitlab"

# From the ground up. A part imports only parts of the lines above its own, or of its own package; parts of
# one line do not know each other.
LAYERS = [
    ["errors", "version", "notebook", "streams", "torch_settings"],
    ["files"],
    ["validation", "places"],
    ["spec"],
    ["result", "datasets"],
    ["wishes", "networks", "handout"],
    ["trained", "store", "studies", "analysis"],
    ["campaign", "report", "engine"],
    ["conclusions"],
    ["dispatch"],
    ["lab"],
    ["contents"],
    ["showing"],
    ["cli"],
    ["__init__", "__main__"],
]
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

# Outside libraries, and the parts that may import them.
HOMES = {
    "typer": {"cli"},
    "rich": {"cli"},
    "requests": {"datasets"},
    "platformdirs": {"places"},
    "sqlalchemy": {"store"},
    "scipy": {"analysis"},
    "altair": {"report"},
    "vl_convert": {"report"},
    "jinja2": {"report"},
    "markupsafe": {"report"},
    "psutil": {"engine"},
    "safetensors": {"trained"},
}
TORCH = {"torch_settings", "networks", "trained", "engine", "dispatch"}
PYDANTIC = {"validation", "spec", "result", "datasets", "studies"}

MODULES = sorted(SOURCE.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written out in full"
            if node.module == "digitlab":
                yield from ((node, f"digitlab.{alias.name}") for alias in node.names)
            else:
                yield node, node.module or ""


def for_types_alone(tree: ast.AST) -> set[ast.stmt]:
    """What stands under `if TYPE_CHECKING:`."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in node.body
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    part, tree = part_of(path), ast.parse(path.read_text())
    for _, name in imports(tree):
        top, *rest = name.split(".")
        if top == "digitlab" and rest and rest[0] != part:
            assert LEVEL[rest[0]] < LEVEL[part], f"{part} imports {rest[0]}"
        if top in HOMES:
            assert part in HOMES[top], f"{part} imports {top}"
        if top == "torch":
            assert part in TORCH, f"{part} imports torch"
        if top in {"pydantic", "pydantic_core"}:
            assert part in PYDANTIC, f"{part} imports pydantic"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_commands_import_inside_functions(path: Path) -> None:
    tree = ast.parse(path.read_text())
    inside = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    }
    if part_of(path) != "cli":
        assert not inside
        return
    # Outside their functions, commands import nothing that would make --help wait.
    light = {"digitlab.cli", "digitlab.errors", "digitlab.version"}
    for node, name in imports(tree):
        if name.startswith("digitlab") and node not in inside and node not in for_types_alone(tree):
            assert any(name == allowed or name.startswith(f"{allowed}.") for allowed in light), name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_input_meets_an_assert(path: Path) -> None:
    assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)]


def test_every_part_has_its_place() -> None:
    assert {part_of(path) for path in MODULES} == set(LEVEL)
