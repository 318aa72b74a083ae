"""The closed union of statements, and a statement with its text."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from headwater.sql.ast.connector import (
    CreateConnection,
    CreateSink,
    CreateSource,
    CreateSubsource,
    CreateWebhook,
    ValidateConnection,
)
from headwater.sql.ast.control import (
    AlterDefaultPrivileges,
    AlterRoleAttributes,
    AlterRoleReset,
    AlterRoleSet,
    CreateCluster,
    CreateClusterReplica,
    CreateNetworkPolicy,
    CreateRole,
    GrantPrivileges,
    GrantRole,
    RevokePrivileges,
    RevokeRole,
)
from headwater.sql.ast.ddl import (
    AlterApplyReplacement,
    AlterOptions,
    AlterOwner,
    AlterRename,
    AlterRenameColumn,
    AlterSecret,
    AlterSetCluster,
    AlterSetSchema,
    AlterSinkFrom,
    AlterSourceAddSubsource,
    AlterSourceDropSubsource,
    AlterSourceRefresh,
    AlterSwap,
    AlterTable,
    CommentOn,
    CreateDatabase,
    CreateIndex,
    CreateMaterializedView,
    CreateSchema,
    CreateSecret,
    CreateTable,
    CreateTableAs,
    CreateTableFromSource,
    CreateType,
    CreateView,
    Drop,
    DropOwned,
    ReassignOwned,
)
from headwater.sql.ast.dml import (
    Close,
    Copy,
    Deallocate,
    Declare,
    Delete,
    Execute,
    Fetch,
    Insert,
    Merge,
    Prepare,
    Subscribe,
    Truncate,
    Update,
)
from headwater.sql.ast.explain import (
    ExplainAnalyze,
    ExplainFilterPushdown,
    ExplainPlan,
    ExplainSinkSchema,
    ExplainTimestamp,
)
from headwater.sql.ast.query import Query, Show
from headwater.sql.ast.session import (
    AlterSystemReset,
    AlterSystemSet,
    Commit,
    Discard,
    Raise,
    ReleaseSavepoint,
    ResetVariable,
    Rollback,
    RollbackTo,
    Savepoint,
    SetConstraints,
    SetTransaction,
    SetVariable,
    StartTransaction,
)

Statement: TypeAlias = (
    Query
    | Show
    | Insert
    | Update
    | Delete
    | Merge
    | Truncate
    | Copy
    | Subscribe
    | Declare
    | Fetch
    | Close
    | Prepare
    | Execute
    | Deallocate
    | StartTransaction
    | SetTransaction
    | Commit
    | Rollback
    | RollbackTo
    | Savepoint
    | ReleaseSavepoint
    | SetVariable
    | ResetVariable
    | Discard
    | SetConstraints
    | Raise
    | AlterSystemSet
    | AlterSystemReset
    | ExplainPlan
    | ExplainTimestamp
    | ExplainFilterPushdown
    | ExplainSinkSchema
    | ExplainAnalyze
    | CreateDatabase
    | CreateSchema
    | CreateTable
    | CreateTableAs
    | CreateTableFromSource
    | CreateView
    | CreateMaterializedView
    | CreateIndex
    | CreateType
    | CreateSecret
    | CreateConnection
    | CreateSource
    | CreateSubsource
    | CreateWebhook
    | CreateSink
    | CreateCluster
    | CreateClusterReplica
    | CreateRole
    | CreateNetworkPolicy
    | Drop
    | DropOwned
    | ReassignOwned
    | AlterRename
    | AlterRenameColumn
    | AlterSwap
    | AlterOwner
    | AlterOptions
    | AlterSetCluster
    | AlterSetSchema
    | AlterTable
    | AlterApplyReplacement
    | AlterSecret
    | AlterSinkFrom
    | AlterSourceAddSubsource
    | AlterSourceDropSubsource
    | AlterSourceRefresh
    | AlterRoleAttributes
    | AlterRoleSet
    | AlterRoleReset
    | AlterDefaultPrivileges
    | GrantRole
    | RevokeRole
    | GrantPrivileges
    | RevokePrivileges
    | CommentOn
    | ValidateConnection
)


class ParsedStatement(msgspec.Struct, frozen=True):
    """A statement with its own text, without the semicolon.

    ``offset`` is where ``text`` begins in what was parsed, in characters from 0. Positions inside
    ``statement`` count from the beginning of what was parsed, as PostgreSQL's errors do.
    """

    statement: Statement
    text: str
    offset: int
