//! COPY to and from files: the same formats, without a client's messages around them.

use crate::copy_in::{Lines, Place, Records};
use crate::copy_out::CopyEncoder;
use crate::protocol::{CopyFormat, CopyKind, ErrorFields, ResultColumn};
use hw_types::flat::Updates;

/// The kind and the length that a message begins with.
const MESSAGE_HEAD: usize = 5;

/// Writes the rows from number `from` on, as often as each is there, until a file has `bytes_max` bytes or
/// more; a header first, where the format has one. Returns the file, and the number of the row that is next.
pub fn encode_file(
    format: &CopyFormat,
    columns: &[ResultColumn],
    rows: &Updates,
    from: usize,
    bytes_max: usize,
) -> Result<(Vec<u8>, usize), ErrorFields> {
    let (mut file, mut message) = (Vec::new(), Vec::new());
    let mut encoder = CopyEncoder::new(format, columns);
    encoder.begin(&mut message);
    unframe(&mut message, &mut file);
    let mut next = from;
    for (row, _, count) in rows.iter().skip(from) {
        if file.len() >= bytes_max {
            break;
        }
        for _ in 0..count {
            encoder.row(row, &mut message)?;
            unframe(&mut message, &mut file);
        }
        next += 1;
    }
    if format.format == CopyKind::Binary {
        encoder.end(&mut message);
        unframe(&mut message, &mut file);
    }
    Ok((file, next))
}

/// Appends what the messages carry.
fn unframe(messages: &mut Vec<u8>, file: &mut Vec<u8>) {
    let mut rest = &messages[..];
    while let Some((head, body)) = rest.split_at_checked(MESSAGE_HEAD) {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let (data, after) = body.split_at(length.saturating_sub(MESSAGE_HEAD - 1).min(body.len()));
        file.extend_from_slice(data);
        rest = after;
    }
    messages.clear();
}

/// Reads a file that comes in chunks.
pub struct FileReader {
    table: String,
    columns: Vec<ResultColumn>,
    kind: CopyKind,
    lines: Lines,
    place: Place,
}

impl FileReader {
    /// Nothing has been read. `table` is for messages.
    pub fn new(table: String, columns: Vec<ResultColumn>, format: &CopyFormat) -> Self {
        FileReader { table, columns, kind: format.format, lines: Lines::new(format), place: Place::default() }
    }
    /// The rows that end in this chunk; none is the end of the file.
    pub fn feed(&mut self, chunk: Option<&[u8]>) -> Result<Updates, ErrorFields> {
        let place = std::mem::take(&mut self.place);
        let mut records = Records::resume(&self.table, &self.columns, self.kind, place);
        match chunk {
            Some(data) => self.lines.feed(data, &mut records)?,
            None => self.lines.finish(&mut records)?,
        }
        let (rows, place) = records.stop();
        self.place = place;
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy_in::tests::text;
    use hw_types::datum::Datum;
    use hw_types::row::pack;
    use hw_types::scalar::BaseType;

    fn columns() -> Vec<ResultColumn> {
        let column = |name: &str, base: BaseType| ResultColumn {
            name: name.into(),
            ty: base.into(),
            oid: 0,
            type_size: -1,
            type_modifier: -1,
            table_oid: 0,
            column_number: 0,
        };
        vec![column("id", BaseType::Int4), column("name", BaseType::Text)]
    }

    fn format(kind: CopyKind, header: bool) -> CopyFormat {
        CopyFormat { format: kind, header, ..CopyFormat::default() }
    }

    fn rows() -> Updates {
        let mut rows = Updates::new();
        rows.push(&pack([Datum::Int(1), Datum::Text("a,b")]), 0, 1);
        rows.push(&pack([Datum::Int(2), Datum::Null]), 0, 2);
        rows
    }

    #[test]
    fn files_hold_what_clients_would_get() {
        let csv = encode_file(&format(CopyKind::Csv, true), &columns(), &rows(), 0, usize::MAX);
        assert_eq!(csv, Ok((b"id,name\n1,\"a,b\"\n2,\n2,\n".to_vec(), 2)));
        let (first, next) =
            encode_file(&format(CopyKind::Text, false), &columns(), &rows(), 0, 1).expect("text");
        assert_eq!((&first[..], next), (&b"1\ta,b\n"[..], 1));
        let rest = encode_file(&format(CopyKind::Text, false), &columns(), &rows(), next, 1);
        assert_eq!(rest, Ok((b"2\t\\N\n2\t\\N\n".to_vec(), 2)));
    }

    #[test]
    fn what_was_written_is_read_again_in_chunks_of_any_size() {
        for kind in [CopyKind::Csv, CopyKind::Text, CopyKind::Binary] {
            let format = format(kind, false);
            let (file, _) = encode_file(&format, &columns(), &rows(), 0, usize::MAX).expect("a file");
            for size in [1, 3, 1000] {
                let mut reader = FileReader::new("t".into(), columns(), &format);
                let mut got = String::new();
                for chunk in file.chunks(size) {
                    got += &text(reader.feed(Some(chunk)).expect("rows"));
                }
                got += &text(reader.feed(None).expect("rows"));
                assert_eq!(got, "1|a,b\n2|NULL\n2|NULL\n", "{kind:?} by {size}");
            }
        }
    }

    #[test]
    fn errors_name_the_line_in_the_file() {
        let mut reader = FileReader::new("t".into(), columns(), &format(CopyKind::Csv, false));
        assert!(reader.feed(Some(b"1,a\n2")).is_ok());
        let error = reader.feed(Some(b"x,b\n")).expect_err("a bad number");
        assert_eq!(error.sqlstate, "22P02");
        assert!(format!("{error:?}").contains("line 2, column id"), "{error:?}");
    }
}
