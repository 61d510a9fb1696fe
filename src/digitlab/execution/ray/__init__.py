"""Ray: cohorts trained on the machines of a cluster.

`connection` starts a cluster or joins one; `cluster` keeps the connection, its nodes and their workers over
many trainings; `executor` hands cohorts to the workers and tells what comes back. What happens on a node is
in `remote` (a check of the node, and the actor that trains); `carried` is how a data set goes there. `causes`
says in words what Ray raises. Only this package loads Ray.
"""
