"""Ray nodes of the tests' own on this machine: a head without a worker, and as many others as are added."""

from typing import Any, cast

import psutil


class Nodes:
    """A cluster whose nodes can be killed; its token is that of the environment (RAY_AUTH_TOKEN)."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        self.address = str(self._cluster.address)

    def add(self, **resources: int) -> Any:
        """A node of one processor, and of what else is said."""
        return self._cluster.add_node(num_cpus=1, **cast("dict[str, Any]", resources))

    def kill(self, node: Any) -> None:
        """Kill a node with all that runs there, as when a machine goes: its own agents may else stay behind."""
        _kill(node)
        self._cluster.worker_nodes.remove(node)

    def kill_head(self) -> None:
        """Kill the head, and with it what keeps the cluster together."""
        _kill(self._cluster.head_node)
        self._cluster.head_node = None

    def close(self) -> None:
        """End all nodes."""
        self._cluster.shutdown()  # type: ignore[no-untyped-call]


def processes_of(node: Any) -> list[psutil.Process]:
    """What runs on a node beside its raylet: agents, workers."""
    (raylet,) = node.all_processes["raylet"]
    try:
        return psutil.Process(raylet.process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill(node: Any) -> None:
    # Not by the cluster's `remove_node`, which first asks the head, and that may be gone.
    processes = processes_of(node)
    node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)
