"""Clusters and the processes of their replicas.

A cluster is a named pool; each of its replicas runs all of its dataflows. headwaterd's
:class:`~headwater.cluster.controller.ClusterController` starts replicas through an orchestrator (or
connects to ones that were started by hand), keeps a link to each, and passes commands and responses
between the link and the compute and storage controllers.

Modules: ``orchestrator`` (Protocol), ``process`` (child processes), ``sizes``, ``protocol``,
``transport`` (links, the Python side), ``controller`` (headwaterd's side), ``replica`` (the replica
process: shell, workers, link server).
"""
