"""All kinds of faults."""

from tests.faults import damage, disks, signals

FAULTS = (*signals.FAULTS, *disks.FAULTS, *damage.FAULTS)
