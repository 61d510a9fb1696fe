"""All kinds of faults."""

from tests.faults import damage, databases, disks, nodes, signals

FAULTS = (*signals.FAULTS, *disks.FAULTS, *damage.FAULTS, *databases.FAULTS, *nodes.FAULTS)
