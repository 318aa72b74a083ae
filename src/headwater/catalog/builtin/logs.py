"""The relations of ``mz_introspection`` that replicas give: by name, the log of the workers."""

from collections.abc import Mapping

LOG_SCHEMA = "mz_introspection"

LOGS: Mapping[str, str] = {
    "mz_active_peeks_per_worker": "active_peeks",
    "mz_arrangement_batcher_allocations_raw": "batcher_allocations",
    "mz_arrangement_batcher_capacity_raw": "batcher_capacity",
    "mz_arrangement_batcher_records_raw": "batcher_records",
    "mz_arrangement_batcher_size_raw": "batcher_size",
    "mz_arrangement_batches_raw": "arrangement_batches",
    "mz_arrangement_heap_allocations_raw": "arrangement_heap_allocations",
    "mz_arrangement_heap_capacity_raw": "arrangement_heap_capacity",
    "mz_arrangement_heap_size_raw": "arrangement_heap_size",
    "mz_arrangement_records_raw": "arrangement_records",
    "mz_arrangement_sharing_raw": "arrangement_sharing",
    "mz_cluster_prometheus_metrics": "prometheus_metrics",
    "mz_compute_dataflow_global_ids_per_worker": "dataflow_global_ids",
    "mz_compute_error_counts_raw": "error_counts",
    "mz_compute_exports_per_worker": "exports",
    "mz_compute_frontiers_per_worker": "frontiers",
    "mz_compute_hydration_times_per_worker": "hydration_times",
    "mz_compute_import_frontiers_per_worker": "import_frontiers",
    "mz_compute_lir_mapping_per_worker": "lir_mapping",
    "mz_compute_operator_durations_histogram_raw": "operator_durations",
    "mz_compute_operator_hydration_statuses_per_worker": "operator_hydration_statuses",
    "mz_dataflow_addresses_per_worker": "dataflow_addresses",
    "mz_dataflow_channels_per_worker": "channels",
    "mz_dataflow_operators_per_worker": "operators",
    "mz_message_batch_counts_received_raw": "message_batch_counts_received",
    "mz_message_batch_counts_sent_raw": "message_batch_counts_sent",
    "mz_message_counts_received_raw": "message_counts_received",
    "mz_message_counts_sent_raw": "message_counts_sent",
    "mz_peek_durations_histogram_raw": "peek_durations",
    "mz_scheduling_elapsed_raw": "scheduling_elapsed",
    "mz_scheduling_parks_histogram_raw": "scheduling_parks",
}
"""``hw_compute::logging::Log`` by the relation that shows it.

Those whose name ends in ``_raw`` count by multiplicity: a row is there as often as there are
records, bytes or nanoseconds.
"""
