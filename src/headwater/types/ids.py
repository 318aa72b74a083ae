"""Identifiers that must not be mixed up.

Catalog objects, clusters and replicas have ids of their own number ranges, written ``u12`` (made by
users), ``s3`` (the system's) and ``t7`` (transient: gone with the session or statement).
"""

from typing import NewType

GlobalId = NewType("GlobalId", str)  # a relation, index, sink, connection, type …
ClusterId = NewType("ClusterId", str)
ReplicaId = NewType("ReplicaId", str)
ShardId = NewType("ShardId", str)  # a durable collection in persist
DatabaseId = NewType("DatabaseId", str)
SchemaId = NewType("SchemaId", str)
RoleId = NewType("RoleId", str)
PolicyId = NewType("PolicyId", str)
