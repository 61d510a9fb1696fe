"""The tables, their version, and how an older version becomes this one."""

import re
from collections.abc import Callable, Mapping

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    inspect,
    select,
    update,
)

from digitlab.errors import StoreError

SCHEMA_VERSION = 1

UPGRADES: Mapping[int, Callable[[Connection], None]] = {}
"""Version -> what turns a store of that version into one of the next."""

NOT_OURS = (
    "its tables are not as digitlab makes them ({cause}); bring back a copy of it, or move it away, and its "
    "results are computed again"
)
_ANOTHER_PROGRAMS = "is another program's database; name another place by --store"

metadata = MetaData()

about = Table("about", metadata, Column("name", String, primary_key=True), Column("value", String))

runs = Table(
    "runs",
    metadata,
    Column("key", String, primary_key=True),
    Column("data", String, nullable=False),
    Column("network", String, nullable=False),
    Column("batch_size", BigInteger, nullable=False),
    Column("learning_rate", Double, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("outcome", String, nullable=False),
    Column("test_accuracy", Double),
    Column("validation_loss", Double),
    Column("seconds", Double, nullable=False),
    Column("finished", String, nullable=False),
    Column("predictions_sha256", String),
    Column("sha256", String, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
# All that a Filter can ask for, in the order of a listing: a filter is answered from the index alone,
# without reading the documents that lie between the rows.
Index(
    "runs_by_time",
    *(runs.c.finished, runs.c.key, runs.c.network, runs.c.outcome, runs.c.batch_size, runs.c.seed),
    runs.c.data,
)

# Apart from the runs, because only few readers want them and they are most of the bytes.
predictions = Table(
    "predictions",
    metadata,
    Column("key", String, primary_key=True),
    Column("predictions", LargeBinary, nullable=False),
)

measurements = Table(
    "measurements",
    metadata,
    Column("key", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("document", String, nullable=False),
    Column("sha256", String, nullable=False),
)

# What verification found changed: kept for whoever wants to know what became of it.
set_aside = Table(
    "set_aside",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("key", String),
    Column("sha256", String),
    Column("document", LargeBinary),
    Column("predictions", LargeBinary),
)


def is_current(connection: Connection, location: str) -> bool:
    """Whether the tables are there, in this version.

    Raises StoreError when they are of a newer version, another program's, or not all there.
    """
    names = inspect(connection).get_table_names()
    if not names:
        return False
    if about.name not in names:
        raise StoreError(f"{location}: {_ANOTHER_PROGRAMS}")
    if _version(connection, location) != SCHEMA_VERSION:
        return False
    if missing := ", ".join(sorted(metadata.tables.keys() - names)):
        raise StoreError(f"{location}: {NOT_OURS.format(cause=f'there is no table {missing}')}")
    return True


def prepare(connection: Connection, location: str) -> None:
    """Make the tables, or bring those of an older version up to this one; in one transaction."""
    if is_current(connection, location):  # another process may just have made them
        return
    if not inspect(connection).get_table_names():
        metadata.create_all(connection)
        connection.execute(about.insert(), {"name": "schema", "value": str(SCHEMA_VERSION)})
        return
    for version in range(_version(connection, location), SCHEMA_VERSION):
        UPGRADES[version](connection)
    connection.execute(update(about).where(about.c.name == "schema").values(value=str(SCHEMA_VERSION)))


def _version(connection: Connection, location: str) -> int:
    text = connection.scalar(select(about.c.value).where(about.c.name == "schema"))
    if not re.fullmatch(r"-?[0-9]{1,9}", str(text)):
        raise StoreError(f"{location}: {_ANOTHER_PROGRAMS}")
    version = int(str(text))
    if version < 1:
        raise StoreError(f"{location}: {NOT_OURS.format(cause=f'schema {version}')}")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{location}: was made by a newer digitlab (schema {version}, this one knows {SCHEMA_VERSION}); "
            "upgrade digitlab or use another --store"
        )
    return version
