"""What all tests share: real MNIST, in a data directory of the tests' own."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from digitlab.data import Dataset, load
from digitlab.data.importing_writers import import_writers
from digitlab.engine.lockstep import backends
from digitlab.engine.lockstep.c.build import kernel
from digitlab.spec import DataSpec, RunSpec
from tests.postgresql import Server, programs, server

# No deadlines: on a busy machine any example may take long.
settings.register_profile("digitlab", deadline=None)
settings.load_profile("digitlab")

# The tests' results depend on none of the user's settings.
for setting in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "FORCE_COLOR", "NO_COLOR"):
    os.environ.pop(setting, None)
    os.environ.pop(setting.upper(), None)

os.environ["COLUMNS"] = "120"  # the width of help texts does not depend on who runs the tests


@pytest.fixture(scope="session", autouse=True)
def data_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of the whole session: MNIST is unpacked into it once."""
    directory = tmp_path_factory.mktemp("data")
    os.environ["DIGITLAB_DATA"] = str(directory)
    os.environ["DIGITLAB_STORE"] = str(directory / "runs.db")
    return directory


@pytest.fixture
def empty_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of one test's own."""
    monkeypatch.setenv("DIGITLAB_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(scope="session")
def mnist(data_directory: Path) -> Dataset:
    """The real data set."""
    return load("mnist")


@pytest.fixture(scope="session")
def qmnist_files() -> Path:
    """The folder of QMNIST's label files, which are no part of the project; skipped where there is none."""
    project = Path(__file__).parent.parent
    for above in project.parents:
        if (folder := above / "shared" / "data" / "qmnist").is_dir():
            return folder
    pytest.skip("needs QMNIST's label files, in shared/data/qmnist beside the project")


@pytest.fixture
def with_writers(qmnist_files: Path, empty_data_directory: Path) -> Path:
    """A data directory of one test's own, in which it is known who wrote MNIST."""
    import_writers("mnist", qmnist_files)
    return empty_data_directory


@pytest.fixture(scope="session")
def mnist_spec(mnist: Dataset) -> DataSpec:
    """What a RunSpec says of it."""
    return mnist.entry.data_spec


@pytest.fixture(scope="session")
def default_spec(mnist_spec: DataSpec) -> RunSpec:
    """The exercise's linear network."""
    return RunSpec(data=mnist_spec)


@pytest.fixture(params=["compiled kernel", "torch"])
def arithmetic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Either way in which the lockstep engine computes."""
    if request.param == "torch":
        monkeypatch.setattr(backends, "kernel", lambda _: None)
    elif kernel("float32") is None:
        pytest.skip("no C compiler on this machine")
    return str(request.param)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server; tests are skipped where it is not installed, but not in continuous integration."""
    if programs() is None and os.environ.get("CI") != "true":
        pytest.skip("needs PostgreSQL, as of Debian's package postgresql")
    with server() as running:
        yield running


@pytest.fixture
def gpu() -> str:
    """A GPU of this machine; the test is skipped where there is none."""
    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    pytest.skip("no GPU on this machine")
