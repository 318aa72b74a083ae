"""The builtin tables: relations whose rows the system writes.

Those filled by catalog transactions are packed in ``pack``; the ones marked *running* below
show what is running, and are filled by ``adapter.introspection``. A column is ``name:type``, with
``?`` where NULL may occur.
"""

import msgspec

from headwater.types import scalar
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import BaseType, ScalarType, array_of, list_of


class BuiltinTableDef(msgspec.Struct, frozen=True):
    """A builtin table: where it is and what it holds."""

    schema: str
    name: str
    desc: RelationDesc

    @property
    def key(self) -> str:
        """Return ``schema.name``, by which it keeps its id for ever."""
        return f"{self.schema}.{self.name}"


def parse_type(text: str) -> ScalarType:
    """Return the type that a column's text names."""
    if text.endswith("[]"):
        return array_of(parse_type(text[:-2]))
    if text.endswith(" list"):
        return list_of(parse_type(text[: -len(" list")]))
    if text == '"char"':
        return scalar.CHAR
    return ScalarType(BaseType(text))


def parse_columns(text: str) -> RelationDesc:
    """Return the shape that ``name:type, name:type?`` describes."""
    columns = []
    for part in text.split(","):
        name, _, type_ = part.strip().partition(":")
        nullable = type_.endswith("?")
        columns.append(Column(name, parse_type(type_.removesuffix("?")), nullable))
    return RelationDesc(tuple(columns))


_MZ_CATALOG = {
    "mz_databases": "id:text, oid:oid, name:text, owner_id:text, privileges:mz_aclitem[]",
    "mz_schemas": "id:text, oid:oid, database_id:text?, name:text, owner_id:text, "
    "privileges:mz_aclitem[]",
    "mz_tables": "id:text, oid:oid, schema_id:text, name:text, owner_id:text, "
    "privileges:mz_aclitem[], create_sql:text?, redacted_create_sql:text?, source_id:text?",
    "mz_sources": "id:text, oid:oid, schema_id:text, name:text, type:text, connection_id:text?, "
    "size:text?, envelope_type:text?, key_format:text?, value_format:text?, cluster_id:text?, "
    "owner_id:text, privileges:mz_aclitem[], create_sql:text?, redacted_create_sql:text?",
    "mz_views": "id:text, oid:oid, schema_id:text, name:text, definition:text, owner_id:text, "
    "privileges:mz_aclitem[], create_sql:text, redacted_create_sql:text",
    "mz_materialized_views": "id:text, oid:oid, schema_id:text, name:text, cluster_id:text, "
    "definition:text, owner_id:text, privileges:mz_aclitem[], create_sql:text, "
    "redacted_create_sql:text",
    "mz_indexes": "id:text, oid:oid, name:text, on_id:text, cluster_id:text, owner_id:text, "
    "create_sql:text, redacted_create_sql:text",
    "mz_index_columns": "index_id:text, index_position:uint8, on_position:uint8?, "
    "on_expression:text?, nullable:bool",
    "mz_sinks": "id:text, oid:oid, schema_id:text, name:text, type:text, connection_id:text?, "
    "size:text?, envelope_type:text?, format:text?, key_format:text?, value_format:text?, "
    "cluster_id:text, owner_id:text, create_sql:text, redacted_create_sql:text",
    "mz_connections": "id:text, oid:oid, schema_id:text, name:text, type:text, owner_id:text, "
    "privileges:mz_aclitem[], create_sql:text, redacted_create_sql:text",
    "mz_secrets": "id:text, oid:oid, schema_id:text, name:text, owner_id:text, "
    "privileges:mz_aclitem[]",
    "mz_types": "id:text, oid:oid, schema_id:text, name:text, category:text, owner_id:text, "
    "privileges:mz_aclitem[], create_sql:text?, redacted_create_sql:text?",
    "mz_base_types": "id:text",
    "mz_array_types": "id:text, element_id:text",
    "mz_functions": "id:text, oid:oid, schema_id:text, name:text, argument_type_ids:text[], "
    "variadic_argument_type_id:text?, return_type_id:text?, returns_set:bool, owner_id:text",
    "mz_columns": "id:text, name:text, position:uint8, nullable:bool, type:text, default:text?, "
    "type_oid:oid, type_mod:int4",
    "mz_clusters": "id:text, name:text, owner_id:text, privileges:mz_aclitem[], managed:bool, "
    "size:text?, replication_factor:uint4?, disk:bool?, availability_zones:text list?, "
    "introspection_debugging:bool?, introspection_interval:interval?",
    "mz_cluster_replicas": "id:text, name:text, cluster_id:text, size:text?, "
    "availability_zone:text?, owner_id:text, disk:bool?",
    "mz_cluster_replica_sizes": "size:text, processes:uint8, workers:uint8, cpu_nano_cores:uint8, "
    "memory_bytes:uint8, disk_bytes:uint8?, credits_per_hour:numeric",
    "mz_roles": "id:text, oid:oid, name:text, inherit:bool, rolcanlogin:bool?, rolsuper:bool?",
    "mz_role_members": "role_id:text, member:text, grantor:text",
    "mz_role_parameters": "role_id:text, parameter_name:text, parameter_value:text",
    "mz_default_privileges": "role_id:text, database_id:text?, schema_id:text?, object_type:text, "
    "grantee:text, privileges:text",
    "mz_system_privileges": "privileges:mz_aclitem",
    "mz_operators": "oid:oid, name:text, argument_type_ids:text[], return_type_id:text?",
    "mz_kafka_sources": "id:text, group_id_prefix:text, topic:text",
    "mz_kafka_sinks": "id:text, topic:text",
    "mz_kafka_connections": "id:text, brokers:text[], sink_progress_topic:text",
}
_MZ_INTERNAL = {
    "mz_object_dependencies": "object_id:text, referenced_object_id:text",
    "mz_comments": "id:text, object_type:text, object_sub_id:int4?, comment:text",
    "mz_subsources": "id:text, source_id:text",
    "mz_index_keys": "index_id:text, key:text[]",
    "mz_cluster_replica_lists": "cluster_id:text, replicas:text?",
    "mz_type_pg_metadata": "id:text, typlen:int2, typtype:text, typelem:oid, typarray:oid",
    "mz_settings": "name:text, setting:text",
    # Running.
    "mz_sessions": "id:text, connection_id:uint4, role_id:text, client_ip:text?, "
    "connected_at:timestamptz",
    "mz_frontiers": "object_id:text, read_frontier:mz_timestamp?, write_frontier:mz_timestamp?",
    "mz_hydration_statuses": "object_id:text, replica_id:text?, hydrated:bool?",
    "mz_cluster_replica_statuses": "replica_id:text, process_id:uint8, status:text, reason:text?, "
    "updated_at:timestamptz",
    "mz_status_updates": "id:text, replica_id:text?, status:text, error:text?, details:jsonb?, "
    "updated_at:timestamptz",
    "mz_source_status_history": "occurred_at:timestamptz, source_id:text, status:text, "
    "error:text?, details:jsonb?, replica_id:text?",
    "mz_sink_status_history": "occurred_at:timestamptz, sink_id:text, status:text, "
    "error:text?, details:jsonb?, replica_id:text?",
    "mz_source_statistics": "id:text, replica_id:text?, messages_received:uint8, "
    "bytes_received:uint8, updates_staged:uint8, updates_committed:uint8, records_indexed:uint8, "
    "bytes_indexed:uint8, rehydration_latency:interval?, snapshot_records_known:uint8?, "
    "snapshot_records_staged:uint8?, snapshot_committed:bool, offset_known:uint8?, "
    "offset_committed:uint8?",
    "mz_sink_statistics": "id:text, replica_id:text?, messages_staged:uint8, "
    "messages_committed:uint8, bytes_staged:uint8, bytes_committed:uint8",
}


def _all() -> tuple[BuiltinTableDef, ...]:
    schemas = {"mz_catalog": _MZ_CATALOG, "mz_internal": _MZ_INTERNAL}
    return tuple(
        BuiltinTableDef(schema, name, parse_columns(columns))
        for schema, tables in schemas.items()
        for name, columns in tables.items()
    )


BUILTIN_TABLES = _all()
# What was, and stays when the server starts anew; filled by what runs.
HISTORY_TABLES = frozenset({"mz_source_status_history", "mz_sink_status_history"})
# Filled by what runs rather than by catalog transactions.
RUNNING_TABLES = frozenset(
    {
        "mz_sessions",
        "mz_frontiers",
        "mz_hydration_statuses",
        "mz_cluster_replica_statuses",
        "mz_status_updates",
        "mz_source_statistics",
        "mz_sink_statistics",
        *HISTORY_TABLES,
    }
)
