"""The builtin tables: relations whose rows the system writes.

Those filled by catalog transactions are packed in ``pack``; those of :data:`RUNNING_TABLES` show
what is running, and are filled by ``adapter.introspection``. Most have their shape from
``shapes.txt``; those of our own, which views are made of, have it here.
"""

import msgspec

from headwater.catalog.builtin.shapes import parse_columns, shape
from headwater.types.relation import RelationDesc


class BuiltinTableDef(msgspec.Struct, frozen=True):
    """A builtin table: where it is and what it holds."""

    schema: str
    name: str
    desc: RelationDesc

    @property
    def key(self) -> str:
        """Return ``schema.name``, by which it keeps its id for ever."""
        return f"{self.schema}.{self.name}"


_MZ_CATALOG = (
    "mz_base_types",
    "mz_cluster_replica_sizes",
    "mz_cluster_replicas",
    "mz_clusters",
    "mz_columns",
    "mz_connections",
    "mz_databases",
    "mz_default_privileges",
    "mz_functions",
    "mz_index_columns",
    "mz_indexes",
    "mz_kafka_sinks",
    "mz_kafka_sources",
    "mz_list_types",
    "mz_map_types",
    "mz_materialized_views",
    "mz_operators",
    "mz_pseudo_types",
    "mz_role_members",
    "mz_role_parameters",
    "mz_roles",
    "mz_schemas",
    "mz_secrets",
    "mz_sinks",
    "mz_sources",
    "mz_system_privileges",
    "mz_tables",
    "mz_types",
    "mz_views",
)
_MZ_INTERNAL = (
    "mz_aggregates",
    "mz_aws_connections",
    "mz_cluster_schedules",
    "mz_cluster_workload_classes",
    "mz_comments",
    "mz_internal_cluster_replicas",
    "mz_network_policies",
    "mz_network_policy_rules",
    "mz_object_dependencies",
    "mz_object_global_ids",
    "mz_replacements",
    "mz_storage_shards",
)
_RUNNING = (
    "mz_frontiers",
    "mz_hydration_statuses",
    "mz_cluster_replica_statuses",
    "mz_source_statistics",
    "mz_sink_statistics",
    "mz_compute_hydration_times",
    "mz_compute_operator_hydration_statuses",
    "mz_compute_error_counts_raw_unified",
)
_HISTORY = ("mz_source_status_history", "mz_sink_status_history")
# What was measured; rows are only added, and taken back when they are old.
_MEASURED = (
    "mz_wallclock_lag_history",
    "mz_storage_usage_by_shard",
    "mz_cluster_replica_metrics_history",
)
_STATEMENTS = (
    "mz_session_history",
    "mz_prepared_statement_history",
    "mz_statement_execution_history",
    "mz_statement_lifecycle_history",
    "mz_sql_text",
)
# Ours: what views are made of.
_OWN = {
    "mz_subsources": "id:text, source_id:text",
    "mz_known_references": "source_id:text, namespace:text?, name:text, columns:text[]?",
    "mz_index_keys": "index_id:text, key:text[], is_unique:bool",
    "mz_cluster_replica_lists": "cluster_id:text, replicas:text?",
    "mz_type_details": "id:text, oid:oid, shown:text, typlen:int2, typtype:text, typelem:oid, "
    "typarray:oid, element_id:text?, element_oid:oid, name:text, schema_oid:oid, owner_oid:oid, "
    "category:text, database_name:text?, acl:text[]?, typinput:oid, typreceive:oid",
    "mz_class_details": "id:text, oid:oid, name:text, schema_oid:oid, owner_oid:oid, "
    "relkind:text, natts:int2, checks:int2, has_keys:bool, persistence:text, "
    "database_name:text?, acl:text[]?",
    "mz_attribute_details": "oid:oid, name:text, typid:oid, typlen:int2, num:int2, typmod:int4, "
    "ndims:int2, not_null:bool, has_default:bool, database_name:text?",
    "mz_kafka_connection_rows": "id:text, brokers:text, sink_progress_topic:text?",
    "mz_role_details": "oid:oid, createrole:bool, createdb:bool, config:text[]?",
    "mz_space_details": "id:text, oid:oid, kind:text, name:text, owner_oid:oid, "
    "database_name:text?, acl:text[]?",
    "mz_oid_names": "kind:text, id:text, oid:oid, name:text, schema_name:text, database_name:text?",
    "mz_role_reach": "member:text, role_id:text",
    "mz_memberships": "member:oid, member_name:text, role:oid, superuser:bool",
    "mz_grants": "kind:text, oid:oid, name:text, grantee:oid, letters:text",
    "mz_constraints": "oid:oid, table_id:text, name:text, schema_oid:oid, relid:oid, type:text, "
    "index_oid:oid, columns:int2[], definition:text, predicate:text?, nulls_distinct:bool",
    "mz_index_definitions": "oid:oid, position:int4, definition:text",
    "mz_settings": "name:text, setting:text",
    "mz_variables": "name:text, description:text, context:text, vartype:text, boot:text, "
    "minimum:text?, maximum:text?, choices:text[]?",
    "mz_retained_histories": "id:text, milliseconds:int8",
    "mz_audit_rows": "id:uint8, event_type:text, object_type:text, details:text, user:text?, "
    "occurred_at:timestamptz",
    "mz_casts": "oid:oid, castsource:oid, casttarget:oid, castfunc:oid, castcontext:text, "
    "castmethod:text",
    "mz_function_arguments": "oid:oid, name:text, schema_oid:oid, arguments:text, kind:text, "
    "result:oid, returns_set:bool, nargs:int2, types:oid[], variadic:oid, "
    "volatility:text",
    "mz_refresh_strategies": "id:text, type:text, interval:interval?, aligned_to:timestamptz?, "
    "at:timestamptz?",
}
_OWN_RUNNING = {
    "mz_session_rows": "id:text, connection_id:uint4, role_id:text, client_ip:text?, "
    "connected_at:timestamptz",
    "mz_dataflow_errors": "object_id:text, sqlstate:text, message:text, rows:int8, "
    "first_seen_at:timestamptz",
    "mz_status_updates": "id:text, replica_id:text?, status:text, error:text?, details:jsonb?, "
    "updated_at:timestamptz",
    "mz_dataflow_inputs": "object_id:text, dependency_id:text",
    "mz_replica_progress": "object_id:text, replica_id:text, write_frontier:mz_timestamp?, "
    "is_current:bool",
    "mz_subscription_rows": "id:text, session_id:text, cluster_id:text, created_at:timestamptz, "
    "referenced_object_ids:text list",
    "mz_refresh_progress": "id:text, last_completed_refresh:mz_timestamp?, "
    "next_refresh:mz_timestamp?",
}


def _all() -> tuple[BuiltinTableDef, ...]:
    internal = "mz_internal"
    return (
        *(BuiltinTableDef("mz_catalog", name, shape("mz_catalog", name)) for name in _MZ_CATALOG),
        *(
            BuiltinTableDef(internal, name, shape(internal, name))
            for name in (*_MZ_INTERNAL, *_RUNNING, *_HISTORY, *_MEASURED, *_STATEMENTS)
        ),
        *(
            BuiltinTableDef(internal, name, parse_columns(columns))
            for name, columns in (*_OWN.items(), *_OWN_RUNNING.items())
        ),
    )


BUILTIN_TABLES = _all()
# What was, and stays when the server starts anew; filled by what runs.
HISTORY_TABLES = frozenset(_HISTORY)
# Likewise, and too large to be held in memory.
MEASURED_TABLES = frozenset(_MEASURED)
# The sample of statements, likewise; ``adapter.statement_log`` fills them and keeps them bounded.
STATEMENT_TABLES = frozenset(_STATEMENTS)
# Told by catalog transactions, kept for ever.
AUDIT_TABLE = "mz_audit_rows"
# Filled by what runs rather than by catalog transactions.
RUNNING_TABLES = frozenset(
    {*_RUNNING, *_OWN_RUNNING, *HISTORY_TABLES, *MEASURED_TABLES, *STATEMENT_TABLES}
)
