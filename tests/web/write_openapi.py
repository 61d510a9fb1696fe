"""Writes down the API's document, after a change that is meant: python -m tests.web.write_openapi."""

import json
import tempfile
from pathlib import Path

from digitlab.live import Laboratory
from digitlab.store import open_store
from digitlab.web.app import create_app
from digitlab.web.settings import Settings

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        laboratory = Laboratory(open_store(Path(folder) / "runs.db"))
        document = create_app(laboratory, Settings(80)).openapi()
        laboratory.close()
    Path(__file__).with_name("openapi.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
