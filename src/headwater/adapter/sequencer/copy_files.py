"""COPY … TO and FROM files of object stores and the web."""

import asyncio

from headwater.adapter.coordinator import Coordinator
from headwater.adapter.data_errors import raise_fields
from headwater.adapter.object_files import Location, open_location
from headwater.adapter.parquet_files import read_parquet, write_parquet
from headwater.adapter.sequencer.copy import CopyIn, copy_data, copy_done, wire_format
from headwater.adapter.sequencer.insert import total, writable_table
from headwater.adapter.sequencer.read import collect, is_alone, literals, until_present
from headwater.adapter.sequencer.select import read_select, result_columns
from headwater.adapter.session import Session
from headwater.adapter.variables import bytes_count
from headwater.catalog.items import Connection
from headwater.errors import InternalError, InvalidParameterValue
from headwater.ir.literals import literal_text
from headwater.persist import flat
from headwater.pgwire import protocol as p
from headwater.pgwire.copy_file import CopyFailed, FileReader, encode_file
from headwater.sql.plan.external import AwsConnection, StringOrSecret
from headwater.sql.plan.hir import HirScalar
from headwater.sql.plan.statements import (
    CopyFormatKind,
    CopyFromPlan,
    CopyToPlan,
    Planned,
    SelectPlan,
)
from headwater.types.ids import GlobalId

# Bytes of a file that is written where nothing is said, and of a Parquet file that is read.
FILE_BYTES_DEFAULT = 256 << 20
PARQUET_BYTES_MAX = 1 << 30


async def sequence_copy_to_files(
    coord: Coordinator,
    session: Session,
    request: p.Execute,
    planned: Planned,
    plan: CopyToPlan,
) -> p.ExecuteReply:
    """Answer COPY … TO a URL: the rows of a query, in files of a bounded size.

    The query's rows are held whole, within ``max_result_size``. A failure may leave files behind;
    their names begin alike.
    """
    params = literals(request.params, planned.param_types)
    location = _location(coord, plan.uri, plan.aws_connection)
    inner = plan.plan
    if not isinstance(inner, SelectPlan):
        raise InternalError("COPY TO a URL of a subscription")
    alone = is_alone(session, last=request.sync)
    read, finishing = await read_select(coord, session, planned, inner, params, alone=alone)
    try:
        await until_present(coord, planned, read)
    except BaseException:
        read.holds.release()
        raise
    rows = await collect(coord, session, read, finishing)
    name = f"headwater-{coord.rng.token()[:8].hex()}"
    bytes_max = plan.max_file_size_bytes or FILE_BYTES_DEFAULT
    if plan.format.format is CopyFormatKind.PARQUET:
        file = await asyncio.to_thread(write_parquet, inner.desc, rows)
        await location.write(f"{name}.parquet", file)
    else:
        await _write_text(location, name, plan, inner, rows, bytes_max)
    return p.Command(tag=f"COPY {total(rows)}")


async def _write_text(
    location: Location, name: str, plan: CopyToPlan, inner: SelectPlan, rows: bytes, bytes_max: int
) -> None:
    format, columns = wire_format(plan.format), result_columns(inner.desc)
    extension = {CopyFormatKind.CSV: "csv", CopyFormatKind.BINARY: "bin"}.get(
        plan.format.format, "txt"
    )
    row, number, end = 0, 0, flat.count(rows)
    while number == 0 or row < end:
        try:
            file, row = await asyncio.to_thread(encode_file, format, columns, rows, row, bytes_max)
        except CopyFailed as error:
            raise_fields(error.fields)
        number += 1
        await location.write(f"{name}-{number:05}.{extension}", file)


async def sequence_copy_from_files(
    coord: Coordinator, session: Session, plan: CopyFromPlan
) -> p.ExecuteReply:
    """Answer COPY … FROM a URL: the rows of all files become part of the transaction.

    Raises: UndefinedFile, IoError, and what COPY FROM STDIN raises, with the file's name.
    """
    location = _location(coord, plan.uri, plan.aws_connection)
    table = writable_table(coord, plan.id)
    session.transaction.queried = True
    session.transaction.admit_write("COPY FROM")
    paths = await location.find(plan.files, plan.pattern)
    session.copy = CopyIn(plan, table)
    try:
        for path in paths:
            if plan.format.format is CopyFormatKind.PARQUET:
                await _read_parquet(coord, session, plan, location, path)
            else:
                await _read_text(coord, session, plan, location, path)
        return copy_done(session)
    finally:
        session.copy = None


async def _read_parquet(
    coord: Coordinator, session: Session, plan: CopyFromPlan, location: Location, path: str
) -> None:
    file = await location.read(path, PARQUET_BYTES_MAX)
    batches = read_parquet(file, plan.input_desc)
    while (rows := await asyncio.to_thread(next, batches, None)) is not None:
        await copy_data(coord, session, rows)


async def _read_text(
    coord: Coordinator, session: Session, plan: CopyFromPlan, location: Location, path: str
) -> None:
    row_bytes_max = bytes_count(session.variables.get("max_copy_from_row_size"))
    format = wire_format(plan.format, row_bytes_max)
    reader = FileReader(path, format, result_columns(plan.input_desc))

    async def take(chunk: bytes | None) -> None:
        try:
            rows = await asyncio.to_thread(reader.feed, chunk)
        except CopyFailed as error:
            raise_fields(error.fields)
        if flat.count(rows):
            await copy_data(coord, session, rows)

    async for chunk in location.chunks(path):
        await take(chunk)
    await take(None)


def _location(coord: Coordinator, uri: HirScalar | None, connection: GlobalId | None) -> Location:
    url = None if uri is None else literal_text(coord.planner.constant(uri))
    if url is None:
        raise InvalidParameterValue("the URL of COPY must not be NULL")
    aws = None
    if connection is not None:
        item = coord.snapshot.item(connection)
        if not isinstance(item, Connection) or not isinstance(item.details, AwsConnection):
            raise InvalidParameterValue(f'"{item.name}" is not an AWS connection')
        aws = item.details

    def reveal(value: StringOrSecret | None) -> str | None:
        if value is None or isinstance(value, str):
            return value
        return coord.secrets[value.id].decode()

    return open_location(url, aws, reveal)
