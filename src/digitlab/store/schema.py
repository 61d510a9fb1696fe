"""The tables and their version; `migrations` holds how an older version becomes this one."""

import re

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
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

SCHEMA_VERSION = 2

_READ_LIKEWISE = frozenset({1})
"""Older versions whose runs lie as in this one: they can be read where nothing may be written."""

NOT_OURS = (
    "its tables are not as digitlab makes them ({cause}); bring back a copy of it, or move it away, and its "
    "results are computed again"
)
_ANOTHER_PROGRAMS = "is another program's database; name another place by --store"

TEXT = String().with_variant(String(collation="C"), "postgresql")
"""Compared and sorted byte by byte, as SQLite does it, whatever the database's language is."""

metadata = MetaData()

about = Table("about", metadata, Column("name", TEXT, primary_key=True), Column("value", TEXT))

runs = Table(
    "runs",
    metadata,
    Column("key", TEXT, primary_key=True),
    Column("data", TEXT, nullable=False),
    Column("network", TEXT, nullable=False),
    Column("batch_size", BigInteger, nullable=False),
    Column("learning_rate", Double, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("outcome", TEXT, nullable=False),
    Column("test_accuracy", Double),
    Column("validation_loss", Double),
    Column("seconds", Double, nullable=False),
    Column("finished", TEXT, nullable=False),
    Column("predictions_sha256", TEXT),
    Column("sha256", TEXT, nullable=False),
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
    Column("key", TEXT, primary_key=True),
    Column("predictions", LargeBinary, nullable=False),
)

measurements = Table(
    "measurements",
    metadata,
    Column("key", TEXT, primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("document", TEXT, nullable=False),
    Column("sha256", TEXT, nullable=False),
)

# What verification found changed: kept for whoever wants to know what became of it.
set_aside = Table(
    "set_aside",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("key", TEXT),
    Column("sha256", TEXT),
    Column("document", LargeBinary),
    Column("predictions", LargeBinary),
)


# Which driver has taken on what. A claim holds until its own time, or while its token is heard of; so a token
# whose row is gone holds nothing up, and none but its own driver keeps it alive.
claims = Table(
    "claims",
    metadata,
    Column("key", TEXT, primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("token", TEXT, nullable=False),
    Column("driver", TEXT, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
)
Index("claims_by_token", claims.c.token)

# Narrow, and apart from the claims: of a driver's runs one row is written again and again, not all of them.
heartbeats = Table(
    "heartbeats",
    metadata,
    Column("token", TEXT, primary_key=True),
    Column("until", DateTime(timezone=True), nullable=False),
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


def can_be_read(connection: Connection, location: str) -> bool:
    """Whether all runs can be read though the tables are of an older version. Raises StoreError."""
    names = inspect(connection).get_table_names()
    return about.name in names and _version(connection, location) in _READ_LIKEWISE


def prepare(connection: Connection, location: str) -> None:
    """Make the tables, or bring those of an older version up to this one; in one transaction."""
    if is_current(connection, location):  # another process may just have made them
        return
    if not inspect(connection).get_table_names():
        metadata.create_all(connection)
        connection.execute(about.insert(), {"name": "schema", "value": str(SCHEMA_VERSION)})
        return
    from digitlab.store.migrations import UPGRADES  # whose library takes long to load

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
