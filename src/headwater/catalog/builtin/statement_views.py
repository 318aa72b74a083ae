"""The builtin views over the sample of statements that sessions have executed.

The tables below are filled by ``adapter.statement_log``. Views whose name says *recent* show the
last day of executions, and the texts prepared in the last days; those that say *redacted* leave out
whatever may hold a value that a user wrote.
"""

# Columns of an execution that hold no value of a statement, in the order of the history's shape.
_EXECUTION = """
    e.sample_rate, e.cluster_id, e.application_name, e.cluster_name, e.database_name,
    e.search_path, e.transaction_isolation, e.execution_timestamp, e.transaction_id,
    e.transient_index_id, e.mz_version, e.began_at, e.finished_at, e.finished_status,
    e.result_size, e.rows_returned, e.execution_strategy
"""
# Days for which the text of a statement counts as recent.
RECENT_TEXT_DAYS = 4

STATEMENTS: tuple[tuple[str, str], ...] = (
    (
        "mz_sql_text_redacted",
        "SELECT sql_hash, redacted_sql FROM mz_internal.mz_sql_text",
    ),
    (
        "mz_recent_sql_text",
        f"""
        SELECT DISTINCT sql_hash, sql, redacted_sql FROM mz_internal.mz_sql_text
        WHERE mz_now() <= prepared_day + INTERVAL '{RECENT_TEXT_DAYS} days'
        """,
    ),
    (
        "mz_recent_sql_text_redacted",
        "SELECT sql_hash, redacted_sql FROM mz_internal.mz_recent_sql_text",
    ),
    (
        "mz_statement_execution_history_redacted",
        f"""
        SELECT e.id, e.prepared_statement_id, {_EXECUTION}
        FROM mz_internal.mz_statement_execution_history AS e
        """,
    ),
    (
        "mz_activity_log_thinned",
        f"""
        SELECT e.id AS execution_id, {_EXECUTION}, e.params, e.error_message,
               e.prepared_statement_id, p.sql_hash, p.name AS prepared_statement_name,
               p.session_id, p.prepared_at, p.statement_type, p.throttled_count,
               s.connected_at, s.initial_application_name, s.authenticated_user
        FROM mz_internal.mz_statement_execution_history AS e
        JOIN mz_internal.mz_prepared_statement_history AS p ON p.id = e.prepared_statement_id
        JOIN mz_internal.mz_session_history AS s ON s.session_id = p.session_id
        """,
    ),
    (
        "mz_recent_activity_log_thinned",
        """
        SELECT * FROM mz_internal.mz_activity_log_thinned
        WHERE mz_now() <= began_at + INTERVAL '1 day'
        """,
    ),
    (
        # A statement may have been prepared long before: its text need not be recent.
        "mz_recent_activity_log",
        """
        SELECT a.*, t.sql FROM mz_internal.mz_recent_activity_log_thinned AS a
        JOIN (SELECT DISTINCT sql_hash, sql FROM mz_internal.mz_sql_text) AS t
          ON t.sql_hash = a.sql_hash
        """,
    ),
    (
        "mz_recent_activity_log_redacted",
        """
        SELECT a.*, t.redacted_sql FROM mz_internal.mz_recent_activity_log_thinned AS a
        JOIN (SELECT DISTINCT sql_hash, redacted_sql FROM mz_internal.mz_sql_text) AS t
          ON t.sql_hash = a.sql_hash
        """,
    ),
)
