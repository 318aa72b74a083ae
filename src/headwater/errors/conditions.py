"""One class per condition; see PostgreSQL appendix A for the codes.

Codes with an X in the third place are ours, in a class that PostgreSQL defines.
"""

import msgspec

from headwater.errors.base import ErrorFields, ExternalError, TransientError, UserError

__all__ = [
    "ActiveSqlTransaction",
    "AdminShutdown",
    "AmbiguousColumn",
    "AmbiguousFunction",
    "AmbiguousParameter",
    "AsOfBeforeSince",
    "BadCopyFileFormat",
    "CannotCoerce",
    "CannotConnectNow",
    "CantChangeRuntimeParam",
    "CardinalityViolation",
    "CharacterNotInRepertoire",
    "CheckViolation",
    "ConfigurationLimitExceeded",
    "ConnectionFailure",
    "ConnectionRejected",
    "ConstraintViolation",
    "DataCorrupted",
    "DataException",
    "DatatypeMismatch",
    "DatetimeFieldOverflow",
    "DependentObjectsStillExist",
    "DiskFull",
    "DivisionByZero",
    "DuplicateAlias",
    "DuplicateColumn",
    "DuplicateCursor",
    "DuplicateDatabase",
    "DuplicateObject",
    "DuplicatePreparedStatement",
    "DuplicateSchema",
    "DuplicateTable",
    "FeatureNotSupported",
    "Fenced",
    "GroupingError",
    "IdleInTransactionTimeout",
    "InFailedSqlTransaction",
    "IncompatibleVersion",
    "IndeterminateDatatype",
    "InsufficientPrivilege",
    "InvalidAuthorization",
    "InvalidBinaryRepresentation",
    "InvalidCatalogName",
    "InvalidColumnDefinition",
    "InvalidColumnReference",
    "InvalidCursorName",
    "InvalidDatetimeFormat",
    "InvalidFrameOffset",
    "InvalidGrantOperation",
    "InvalidName",
    "InvalidObjectDefinition",
    "InvalidParameterValue",
    "InvalidRecursion",
    "InvalidRowCountInLimit",
    "InvalidRowCountInOffset",
    "InvalidSavepoint",
    "InvalidSchemaName",
    "InvalidSqlStatementName",
    "InvalidTableDefinition",
    "InvalidTextRepresentation",
    "InvalidTransactionState",
    "IoError",
    "NameTooLong",
    "NoActiveSqlTransaction",
    "NotNullViolation",
    "NullValueNotAllowed",
    "NumericValueOutOfRange",
    "ObjectInUse",
    "ObjectNotInPrerequisiteState",
    "OutOfMemory",
    "ProgramLimitExceeded",
    "ProtocolViolation",
    "QueryCanceled",
    "ReadOnlySqlTransaction",
    "ReservedName",
    "SerializationFailure",
    "ShardUpperMismatch",
    "StatementTooComplex",
    "StringDataRightTruncation",
    "SyntaxError_",
    "SystemError_",
    "TooManyArguments",
    "TooManyColumns",
    "TooManyConnections",
    "UndefinedColumn",
    "UndefinedFile",
    "UndefinedFunction",
    "UndefinedObject",
    "UndefinedParameter",
    "UndefinedTable",
    "UniqueViolation",
    "WindowingError",
    "WrongObjectType",
]


class SyntaxError_(UserError):
    """The statement does not follow the grammar."""

    sqlstate = "42601"


class FeatureNotSupported(UserError):
    """The statement is understood but not supported."""

    sqlstate = "0A000"


class UndefinedTable(UserError):
    """A relation of that name does not exist."""

    sqlstate = "42P01"


class UndefinedColumn(UserError):
    """A column of that name does not exist."""

    sqlstate = "42703"


class UndefinedFunction(UserError):
    """No function or operator of that name takes these arguments."""

    sqlstate = "42883"


class UndefinedObject(UserError):
    """An object of that name does not exist."""

    sqlstate = "42704"


class UndefinedParameter(UserError):
    """There is no parameter of that number."""

    sqlstate = "42P02"


class InvalidSavepoint(UserError):
    """The transaction has no savepoint of that name."""

    sqlstate = "3B001"


class InvalidSchemaName(UserError):
    """A schema of that name does not exist."""

    sqlstate = "3F000"


class InvalidCatalogName(UserError):
    """A database of that name does not exist."""

    sqlstate = "3D000"


class InvalidCursorName(UserError):
    """A cursor or portal of that name does not exist."""

    sqlstate = "34000"


class InvalidSqlStatementName(UserError):
    """A prepared statement of that name does not exist."""

    sqlstate = "26000"


class DuplicateTable(UserError):
    """A relation of that name exists already."""

    sqlstate = "42P07"


class DuplicateColumn(UserError):
    """A column is named more than once."""

    sqlstate = "42701"


class DuplicateObject(UserError):
    """An object of that name exists already."""

    sqlstate = "42710"


class DuplicateDatabase(UserError):
    """A database of that name exists already."""

    sqlstate = "42P04"


class DuplicateSchema(UserError):
    """A schema of that name exists already."""

    sqlstate = "42P06"


class DuplicateAlias(UserError):
    """A table name is used more than once in a FROM clause."""

    sqlstate = "42712"


class DuplicateCursor(UserError):
    """A cursor of that name exists already."""

    sqlstate = "42P03"


class DuplicatePreparedStatement(UserError):
    """A prepared statement of that name exists already."""

    sqlstate = "42P05"


class AmbiguousColumn(UserError):
    """A column reference could mean several columns."""

    sqlstate = "42702"


class AmbiguousFunction(UserError):
    """A call could mean several functions."""

    sqlstate = "42725"


class AmbiguousParameter(UserError):
    """A parameter is used with several types."""

    sqlstate = "42P08"


class IndeterminateDatatype(UserError):
    """The type of an expression cannot be told."""

    sqlstate = "42P18"


class DatatypeMismatch(UserError):
    """An expression has the wrong type."""

    sqlstate = "42804"


class CannotCoerce(UserError):
    """There is no cast between two types."""

    sqlstate = "42846"


class WrongObjectType(UserError):
    """The object exists but is of another kind."""

    sqlstate = "42809"


class GroupingError(UserError):
    """An expression must be grouped or aggregated."""

    sqlstate = "42803"


class WindowingError(UserError):
    """A window function stands where none may."""

    sqlstate = "42P20"


class InvalidColumnReference(UserError):
    """An ordinal or expression refers to no output column."""

    sqlstate = "42P10"


class InvalidColumnDefinition(UserError):
    """A column definition is not valid."""

    sqlstate = "42611"


class InvalidObjectDefinition(UserError):
    """An object definition is not valid."""

    sqlstate = "42P17"


class InvalidTableDefinition(UserError):
    """A table definition is not valid."""

    sqlstate = "42P16"


class InvalidRecursion(UserError):
    """A recursive query is not of a legal form."""

    sqlstate = "42P19"


class InvalidName(UserError):
    """A name is not valid."""

    sqlstate = "42602"


class NameTooLong(UserError):
    """An identifier is longer than the limit."""

    sqlstate = "42622"


class ReservedName(UserError):
    """The name is reserved for the system."""

    sqlstate = "42939"


class InvalidGrantOperation(UserError):
    """A grant or revocation that makes no sense: a privilege that the object does not have."""

    sqlstate = "0LP01"


class DependentObjectsStillExist(UserError):
    """Other objects depend on the one to be dropped."""

    sqlstate = "2BP01"


class ObjectInUse(UserError):
    """The object is in use."""

    sqlstate = "55006"


class ObjectNotInPrerequisiteState(UserError):
    """The object is not in a state that allows the operation."""

    sqlstate = "55000"


class CantChangeRuntimeParam(UserError):
    """The parameter cannot be changed."""

    sqlstate = "55P02"


class InsufficientPrivilege(UserError):
    """The role may not do this."""

    sqlstate = "42501"


class InvalidAuthorization(UserError):
    """The role may not log in."""

    sqlstate = "28000"


class InvalidParameterValue(UserError):
    """A value is not valid for its parameter."""

    sqlstate = "22023"


class NumericValueOutOfRange(UserError):
    """A number does not fit its type."""

    sqlstate = "22003"


class InvalidTextRepresentation(UserError):
    """A text is not the form of any value of the type."""

    sqlstate = "22P02"


class InvalidBinaryRepresentation(UserError):
    """Bytes are not the form of any value of the type."""

    sqlstate = "22P03"


class BadCopyFileFormat(UserError):
    """Data for COPY are malformed."""

    sqlstate = "22P04"


class CharacterNotInRepertoire(UserError):
    """Bytes are not valid in the encoding."""

    sqlstate = "22021"


class InvalidDatetimeFormat(UserError):
    """A date or time is malformed."""

    sqlstate = "22007"


class DatetimeFieldOverflow(UserError):
    """A field of a date or time is out of range."""

    sqlstate = "22008"


class DivisionByZero(UserError):
    """A number was divided by zero."""

    sqlstate = "22012"


class StringDataRightTruncation(UserError):
    """A string is too long for its type."""

    sqlstate = "22001"


class NullValueNotAllowed(UserError):
    """NULL was given where it has no meaning."""

    sqlstate = "22004"


class InvalidFrameOffset(UserError):
    """The offset of a window frame is negative."""

    sqlstate = "22013"


class InvalidRowCountInLimit(UserError):
    """LIMIT is negative."""

    sqlstate = "2201W"


class InvalidRowCountInOffset(UserError):
    """OFFSET is negative."""

    sqlstate = "2201X"


class CardinalityViolation(UserError):
    """A scalar subquery returned more than one row."""

    sqlstate = "21000"


class ConstraintViolation(UserError):
    """A row may not be in its table; what it is about is named apart."""

    sqlstate = "23000"

    def __init__(
        self, message: str, *, detail: str = "", hint: str = "", position: int = 0
    ) -> None:
        super().__init__(message, detail=detail, hint=hint, position=position)
        self.schema_name = ""
        self.table_name = ""
        self.column_name = ""
        self.constraint_name = ""

    def fields(self) -> ErrorFields:
        """Return the error as data, names included."""
        return msgspec.structs.replace(
            super().fields(),
            schema_name=self.schema_name,
            table_name=self.table_name,
            column_name=self.column_name,
            constraint_name=self.constraint_name,
        )


class NotNullViolation(ConstraintViolation):
    """A null stands in a column that forbids it."""

    sqlstate = "23502"


class UniqueViolation(ConstraintViolation):
    """A key occurs twice."""

    sqlstate = "23505"


class CheckViolation(ConstraintViolation):
    """A row does not satisfy a CHECK."""

    sqlstate = "23514"


class DataException(UserError):
    """A row could not be computed."""

    sqlstate = "22000"


class ActiveSqlTransaction(UserError):
    """The statement cannot run inside a transaction block."""

    sqlstate = "25001"


class NoActiveSqlTransaction(UserError):
    """The statement needs a transaction block."""

    sqlstate = "25P01"


class InFailedSqlTransaction(UserError):
    """The transaction has failed and must be rolled back."""

    sqlstate = "25P02"


class ReadOnlySqlTransaction(UserError):
    """The transaction only reads."""

    sqlstate = "25006"


class InvalidTransactionState(UserError):
    """The transaction cannot do this."""

    sqlstate = "25000"


class StatementTooComplex(UserError):
    """The statement exceeds a limit of nesting or size."""

    sqlstate = "54001"


class ProgramLimitExceeded(UserError):
    """A limit is exceeded."""

    sqlstate = "54000"


class TooManyColumns(UserError):
    """There are more columns than the limit."""

    sqlstate = "54011"


class TooManyArguments(UserError):
    """There are more arguments than the limit."""

    sqlstate = "54023"


class ConfigurationLimitExceeded(UserError):
    """A configured limit is exceeded."""

    sqlstate = "53400"


class OutOfMemory(TransientError):
    """Memory is exhausted."""

    sqlstate = "53200"


class DiskFull(TransientError):
    """The disk is full."""

    sqlstate = "53100"


class TooManyConnections(TransientError):
    """All connections are taken."""

    sqlstate = "53300"


class SerializationFailure(TransientError):
    """A concurrent change stands against this one."""

    sqlstate = "40001"


class QueryCanceled(UserError):
    """The statement was cancelled by its user or a time limit."""

    sqlstate = "57014"


class AdminShutdown(TransientError):
    """The server is stopping."""

    sqlstate = "57P01"


class CannotConnectNow(TransientError):
    """The server is not ready."""

    sqlstate = "57P03"


class IdleInTransactionTimeout(UserError):
    """The session was idle in a transaction for too long."""

    sqlstate = "25P03"


class ConnectionFailure(ExternalError):
    """A connection was lost."""

    sqlstate = "08006"


class ConnectionRejected(ExternalError):
    """A connection was refused."""

    sqlstate = "08004"


class ProtocolViolation(UserError):
    """A message does not follow the protocol."""

    sqlstate = "08P01"


class SystemError_(ExternalError):
    """A system outside headwater failed."""

    sqlstate = "58000"


class IoError(ExternalError):
    """Reading or writing failed."""

    sqlstate = "58030"


class UndefinedFile(ExternalError):
    """There is no such file."""

    sqlstate = "58P01"


class DataCorrupted(ExternalError):
    """Stored data are damaged."""

    sqlstate = "XX001"


class Fenced(TransientError):
    """A newer server has taken this environment over."""

    sqlstate = "57P04"


class AsOfBeforeSince(UserError):
    """The time asked for is compacted away."""

    sqlstate = "22X01"


class ShardUpperMismatch(TransientError):
    """Another writer has advanced the collection."""

    sqlstate = "40X01"


class IncompatibleVersion(UserError):
    """The data folder was written by a newer version."""

    sqlstate = "55X01"
