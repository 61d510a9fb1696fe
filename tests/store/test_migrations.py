"""Stores of older versions open under the new schema, in both databases, and come out as if made by it."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from digitlab.errors import StoreError
from digitlab.store import Filter, Verification, migrations, open_store, schema
from tests.postgresql import Server

FIRST = Path(__file__).parent / "fixtures" / "schema1.db"
"""Made by the last version with schema 1: three runs that completed, one that diverged, a measurement."""


def alchemy(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def test_a_file_of_the_first_schema_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    shutil.copy(FIRST, path)
    with closing(open_store(path)) as store:
        assert store.verify() == Verification(4, ())
        assert [row.outcome for row in store.list(Filter())].count("diverged") == 1
        ((key, name),) = store.measured()
        assert store.measurements([key], name) == {key: {"scale": 1.5}}
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT value FROM about").fetchall() == [("2",)]
    connection.close()
    assert_as_made_now(f"sqlite:///{path}")


def test_a_database_of_the_first_schema_is_upgraded(postgresql: Server) -> None:
    url = postgresql.make_database("first-schema")
    engine, old = create_engine(alchemy(url)), sqlite3.connect(FIRST)
    with engine.begin() as connection:
        migrations.UPGRADES[0](connection)
        for table in ("about", "runs", "predictions", "measurements"):
            cursor = old.execute(f"SELECT * FROM {table}")  # noqa: S608
            names = [column[0] for column in cursor.description]
            values = ", ".join(f":{name}" for name in names)
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
            connection.execute(text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"), rows)  # noqa: S608
    old.close()
    engine.dispose()
    with closing(open_store(url)) as store:
        assert store.verify() == Verification(4, ())
        assert len(store.measured()) == 1
    assert postgresql.execute("first-schema", "SELECT value FROM about") == [("2",)]
    assert_as_made_now(alchemy(url))


def assert_as_made_now(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    engine.dispose()


def test_all_migrations_in_a_row_make_the_tables_that_are_made_at_once(
    postgresql: Server, tmp_path: Path
) -> None:
    for url in (f"sqlite:///{tmp_path / 'x.db'}", alchemy(postgresql.make_database("in-a-row"))):
        engine = create_engine(url)
        with engine.begin() as connection:
            for version in range(schema.SCHEMA_VERSION):
                migrations.UPGRADES[version](connection)
        engine.dispose()
        assert_as_made_now(url)


def test_an_old_store_can_be_read_where_nothing_may_be_written(postgresql: Server, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    shutil.copy(FIRST, path)
    url = postgresql.make_database("old-read-only")
    with closing(open_store(url)) as store, closing(open_store(path)) as old:
        store.merge(old)
    postgresql.execute("old-read-only", "UPDATE about SET value = '1'")
    postgresql.execute("old-read-only", "DROP TABLE claims, heartbeats")
    postgresql.execute("postgres", 'ALTER DATABASE "old-read-only" SET default_transaction_read_only = on')
    with closing(open_store(url)) as store:
        assert store.verify() == Verification(4, ())
    with pytest.raises(StoreError, match="cannot be written"), closing(open_store(url)) as store:
        store.delete(store.keys(Filter()))


def test_alembic_is_loaded_for_an_upgrade_alone(tmp_path: Path) -> None:
    script = "import sys; from digitlab.store import open_store; open_store(sys.argv[1]); print('alembic' in sys.modules)"

    for expected, old in (("False\n", False), ("True\n", True), ("False\n", False)):
        path = tmp_path / "runs.db"
        if old:
            shutil.copy(FIRST, path)
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, env=os.environ
        )
        assert done.stdout == expected, done.stderr
