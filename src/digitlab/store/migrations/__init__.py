"""How a store of an older version becomes one of the next, by Alembic's operations.

A version is a module, in the form of Alembic's scripts: it makes the tables of the version before into its
own, for every database. What it says of tables stays as it was, whatever `schema` says later. The number of a
store's version stands in its table `about`, where the first version has put it; so Alembic's own table is not
needed. Loaded only where there is something to upgrade.
"""

from collections.abc import Callable, Mapping
from types import ModuleType

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from digitlab.store.migrations import v1_runs, v2_claims

Upgrade = Callable[[Connection], None]


def _by(script: ModuleType) -> Upgrade:
    def upgrade(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            script.upgrade()

    return upgrade


UPGRADES: Mapping[int, Upgrade] = {0: _by(v1_runs), 1: _by(v2_claims)}
"""Version -> what turns a store of that version into one of the next; 0 is a database without tables."""
