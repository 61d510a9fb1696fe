"""The architecture, held by a walk through the source: which part may import which, and where libraries live.

The table is the whole contract: what it does not name is not allowed. A package's own modules may import each
other, except where the package is named in INSIDE.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "digitlab"

# From the ground up. A part imports only parts of the lines above its own, or of its own package; parts of
# one line do not know each other.
LAYERS = [
    ["errors", "version", "html", "rng"],
    ["files"],
    ["validation", "places"],
    ["spec"],
    ["result", "data", "option_fields", "option_types"],
    ["models", "vision"],
    ["options", "handout"],
    ["spec_options"],
    ["store", "analysis"],
    ["engine"],
    ["planning"],
    ["execution"],
    ["sinks"],
    ["lab", "exports"],
    ["studies", "recomputation", "mistakes", "comparing", "frames"],
    ["networks"],
    ["prediction"],
    ["report"],
    ["exercise", "live"],
    ["explore"],
    ["web"],
    ["cli"],
    ["__init__", "__main__"],
]
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

# What a part must not know although it lies above it.
OPTIONS = {"option_fields", "option_types", "options"}
FORBIDDEN = {
    "analysis": {"handout", *OPTIONS},  # what it reads is handed over: `Evidence`
    "engine": {"store", "analysis", "handout", *OPTIONS},
    "planning": {"store", "analysis", "handout", *OPTIONS},
    "execution": {"store", "analysis", "handout", *OPTIONS},
    "store": {"handout", "data", *OPTIONS},
    "vision": {"data", "spec", "result", "handout", *OPTIONS},  # it knows pictures, and no network
    "prediction": {"analysis", "handout", *OPTIONS},
    "live": {"report", "exercise", "handout", *OPTIONS},  # it knows runs, and no page
    "web": {"exercise", "handout", "planning"},
}

# What shows itself is drawn by what lies above it: it is loaded when it is asked for, and knows no other part there.
SHOWS_ITSELF = {"result": "report"}

# The order inside packages, from the ground up, as above; "__init__" may import all of them.
INSIDE = {
    "studies": [
        ["definition"],
        ["expansion", "files", "stages"],
        ["strategies"],
        ["progress", "findings", "cells", "sharing"],
        ["runner"],
        ["service"],
    ],
    "vision": [
        ["reading", "mnist"],
        ["decoding", "paper", "rules", "strokes"],
        ["ink", "segmentation"],
        ["steps"],
        ["explanation"],
    ],
    "prediction": [
        ["distortion", "calibration", "typical"],
        ["model"],
        ["keeping", "answers"],
        ["default_model", "explaining", "sources"],
        ["choice"],
    ],
    "live": [
        ["visitors", "speed", "limits"],
        ["live_run", "jobs"],
        ["explanation", "networks"],
        ["laboratory"],
        ["board", "presets", "reading", "seeds"],
    ],
    "web": [
        ["limits", "connections"],
        ["settings"],
        ["security"],
        ["schema", "errors", "pages"],
        ["sockets", "reference"],
        ["api"],
        ["app"],
        ["serving"],
    ],
    "analysis": [
        ["findings"],
        ["statistics", "curves"],
        ["conditions", "pair"],
        ["reached"],
        ["summary"],
        ["studies"],
        ["registry"],
    ],
}

# The parts that compute on arrays.
ARRAYS = {
    "analysis",
    "data",
    "engine",
    "explore",
    "exports",
    "models",
    "planning",
    "prediction",
    "report",
    "vision",
}

# Outside libraries, and the parts that may import them. A library without an entry may be imported by none.
HOMES = {
    "IPython": {"report"},
    "PIL": {"vision"},
    "alembic": {"store"},
    "altair": {"report"},
    "fastapi": {"web"},
    "h11": {"web"},
    "jaxtyping": {*ARRAYS, "live"},
    "jinja2": {"report"},
    "markupsafe": {"report", "web"},
    "mlflow": {"sinks"},
    "numpy": {*ARRAYS, "execution", "live", "rng", "web"},
    "onnx": {"exports"},
    "onnxruntime": {"exports"},
    "pandas": {"frames"},
    "platformdirs": {"places"},
    "psutil": {"engine", "planning"},
    "pyarrow": {"store"},
    "ray": {"execution"},
    "pydantic": {"data", "result", "spec", "studies", "validation", "web"},
    "pydantic_core": {"validation"},
    "requests": {"data"},
    "rich": {"cli"},
    "safetensors": {"models", "prediction"},
    "scipy": {"analysis", "prediction", "vision"},
    "sqlalchemy": {"store"},
    "starlette": {"web"},
    "tensorboard": {"sinks"},
    "torch": {"engine", "exports", "models"},
    "typer": {"cli"},
    "uvicorn": {"web"},
    "click": {"cli"},
    "vl_convert": {"report"},
}

# Inside functions only commands import, for their --help must not wait, and those who choose at run time whether
# torch, a report or an extra library is needed at all: of each, what it then loads.
LOADED_WHEN_CHOSEN = {
    "engine.device": {"digitlab.engine.torch_devices"},
    "exercise": {"digitlab.report.build", "digitlab.report.writing"},
    "engine.lockstep.backends": {"digitlab.engine.lockstep.torch_backend"},
    "exports.service": {"digitlab.exports.onnx"},
    "frames": {"pandas"},
    "lab": {
        "digitlab.engine.reference",
        "digitlab.execution.ray.cluster.Cluster",
        "digitlab.execution.ray.executor.OnRay",
        "digitlab.store.keeping",
        "digitlab.store.open_store",
    },
    "prediction.calibration": {"scipy.optimize"},
    "networks": {
        "digitlab.recomputation.trained_again",
        "digitlab.store.known_run",
        "digitlab.store.open_store",
    },
    "report.live": {"IPython.display.display"},
    "result": {"digitlab.report.plot"},
    "sinks.opening": {"digitlab.sinks.mlflow", "digitlab.sinks.tensorboard"},
    "store.export": {"pyarrow"},
    "store.location": {"digitlab.store.postgresql.postgresql_database"},
    "store.schema": {"digitlab.store.migrations.UPGRADES"},
}

# Libraries that take long to load, by who must not wait for them: nothing that it imports leads there.
NOT_AWAITED = {
    "lab": {"torch", "scipy", "sqlalchemy", "altair", "jinja2", "vl_convert", "requests", "ray"},
    "exercise": {"torch", "scipy", "sqlalchemy", "altair", "jinja2", "vl_convert", "requests"},
    "exports.service": {
        "torch",
        "scipy",
        "sqlalchemy",
        "altair",
        "jinja2",
        "vl_convert",
        "requests",
        "onnx",
        "onnxruntime",
    },
    "sinks.opening": {"torch", "scipy", "sqlalchemy", "altair", "tensorboard", "mlflow", "requests"},
    "networks": {"torch", "scipy", "sqlalchemy", "altair", "jinja2", "vl_convert", "requests"},
    "mistakes": {"torch", "altair", "jinja2", "vl_convert", "requests"},
    "execution.worker": {"torch", "scipy", "sqlalchemy", "altair", "jinja2", "vl_convert", "requests"},
    "engine.confusion": {"torch", "scipy", "sqlalchemy", "altair", "jinja2", "vl_convert", "requests"},
    "studies.service": {"torch", "scipy", "altair", "jinja2", "vl_convert", "requests"},
    "recomputation": {"torch", "scipy", "altair", "jinja2", "vl_convert", "requests"},
    "report.writing": {"torch", "requests"},
    "vision": {"torch", "sqlalchemy", "altair", "jinja2", "vl_convert", "requests", "pydantic"},
    "prediction": {"torch", "sqlalchemy", "altair", "jinja2", "vl_convert", "requests"},
}

MODULES = sorted(SOURCE.rglob("*.py"))
STANDARD = sys.stdlib_module_names


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written out in full"
            # What is imported from a package may be one of its modules.
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def for_types_alone(tree: ast.AST) -> set[ast.stmt]:
    """What stands under `if TYPE_CHECKING:`."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in node.body
    }


def level_inside(package: str, module: str) -> int | None:
    """On which line of INSIDE a module or a package below a package stands."""
    levels = {name: i for i, names in enumerate(INSIDE.get(package, [])) for name in names}
    return levels.get(module)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    part, tree = part_of(path), ast.parse(path.read_text())
    inner = level_inside(
        part,
        path.relative_to(SOURCE)
        .parts[-1 if len(path.relative_to(SOURCE).parts) < 2 else 1]
        .removesuffix(".py"),
    )
    for node, name in imports(tree):
        top, *rest = name.split(".")
        if top == "digitlab":
            assert rest, f"{part} imports digitlab itself"
            if rest[0] == "__version__" or rest[0] not in LEVEL:
                assert part in {"cli", "__main__"}, f"{part} imports digitlab itself"
            elif rest[0] == SHOWS_ITSELF.get(part):
                assert node in inside_functions(tree) | for_types_alone(tree)
            elif rest[0] != part:
                assert LEVEL[rest[0]] < LEVEL[part], f"{part} imports {rest[0]}"
                assert rest[0] not in FORBIDDEN.get(part, set()), f"{part} imports {rest[0]}"
            elif inner is not None and len(rest) > 1 and (theirs := level_inside(part, rest[1])) is not None:
                assert theirs <= inner, f"{path.name} imports {name}, which lies above it"
        elif top not in STANDARD:
            assert top in HOMES, f"{top} has no entry in HOMES"
            assert part in HOMES[top], f"{part} imports {top}"


def inside_functions(tree: ast.AST) -> set[ast.stmt]:
    """Imports that run when a function is called."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    }


def dotted(path: Path) -> str:
    """A module's name below digitlab: `engine.lockstep.loop`; a package's is that of its folder."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_few_import_inside_functions(path: Path) -> None:
    tree = ast.parse(path.read_text())
    inside = inside_functions(tree)
    if part_of(path) != "cli":
        deferred = LOADED_WHEN_CHOSEN.get(dotted(path), set())
        found = {name for node, name in imports(tree) if node in inside}
        assert {name if name in deferred else name.rpartition(".")[0] for name in found} == deferred
        return
    # Outside their functions, commands import nothing that would make --help wait.
    light = {"digitlab.cli", "digitlab.errors", "digitlab.option_types", "digitlab.version"}
    for node, name in imports(tree):
        if name.startswith("digitlab") and node not in inside and node not in for_types_alone(tree):
            assert any(name == allowed or name.startswith(f"{allowed}.") for allowed in light), name


@pytest.mark.parametrize("start", NOT_AWAITED)
def test_nobody_waits_for_a_library_that_is_not_needed(start: str) -> None:
    paths = {dotted(path): path for path in MODULES}
    ways: dict[str, str] = {start: start}  # to each module that is loaded, how one comes there
    ahead = [start]
    while ahead:
        module = ahead.pop()
        tree = ast.parse(paths[module].read_text())
        later = inside_functions(tree) | for_types_alone(tree)
        for name in [name for node, name in imports(tree) if node not in later]:
            top, *rest = name.split(".")
            assert top not in NOT_AWAITED[start], f"{ways[module]} -> {top}"
            # With a module all packages are loaded that it lies in.
            for depth in range(1, len(rest) + 1) if top == "digitlab" else ():
                part = ".".join(rest[:depth])
                if part in paths and part not in ways:
                    ways[part] = f"{ways[module]} -> {part}"
                    ahead.append(part)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_input_meets_an_assert(path: Path) -> None:
    assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)]


def test_every_part_has_its_place() -> None:
    assert {part_of(path) for path in MODULES} == set(LEVEL)


def test_every_home_is_a_part() -> None:
    assert {part for parts in HOMES.values() for part in parts} <= set(LEVEL)
