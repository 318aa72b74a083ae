//! Parts of every type survive writing, reading and merging; damaged ones are errors.

use hw_persist::{
    Half, MergeInput, PartFilter, RowRange, decode_part, decode_part_filtered, encode_part, merge_parts,
};
use hw_types::datum::Datum;
use hw_types::flat::Updates;
use hw_types::interval::Interval;
use hw_types::numeric::Numeric;
use hw_types::relation::{Column, RelationDesc};
use hw_types::row::pack;
use hw_types::scalar::{BaseType, ScalarType};
use proptest::prelude::*;
use serde_bytes::ByteBuf;

fn desc(types: &[BaseType]) -> RelationDesc {
    let column = |(i, base): (usize, &BaseType)| Column {
        name: format!("c{i}"),
        ty: ScalarType::simple(*base),
        nullable: true,
    };
    RelationDesc {
        columns: types.iter().enumerate().map(column).collect(),
        keys: Vec::new(),
        added: Vec::new(),
    }
}

fn batch<'a>(rows: impl IntoIterator<Item = Vec<Datum<'a>>>) -> Updates {
    let mut updates = Updates::new();
    for (i, row) in rows.into_iter().enumerate() {
        updates.push(&pack(row), i as u64, 1 - 2 * (i as i64 % 2));
    }
    updates
}

fn survives(desc: &RelationDesc, updates: &Updates) -> usize {
    let part = encode_part(desc, Half::Ok, updates).expect("encodes");
    let got = decode_part(desc, "parquet", &part.bytes).expect("decodes");
    assert_eq!(got, updates.consolidate());
    assert_eq!(part.info.updates, got.len());
    assert_eq!(part.info.stats.len(), desc.arity());
    part.bytes.len()
}

#[test]
fn every_type_survives() {
    use BaseType as B;
    let types = [
        B::Bool,
        B::Int2,
        B::Int4,
        B::Int8,
        B::Uint2,
        B::Uint4,
        B::Uint8,
        B::Float4,
        B::Float8,
        B::Numeric,
        B::Text,
        B::Bytea,
        B::Date,
        B::Time,
        B::Timestamp,
        B::Timestamptz,
        B::Interval,
        B::Uuid,
    ];
    let number = |text: &str| Datum::Numeric(Numeric::parse(text).expect("a number"));
    let full = |n: i64, text: &'static str, number: Datum<'static>| {
        vec![
            Datum::bool(n % 2 == 0),
            Datum::Int(n),
            Datum::Int(-n),
            Datum::Int(n << 40),
            Datum::Int(n),
            Datum::Int(n),
            Datum::UInt(u64::MAX),
            Datum::Float4(f32::NAN),
            Datum::Float8(-0.5),
            number,
            Datum::Text(text),
            Datum::Bytes(b"\0\xff"),
            Datum::Int(n),
            Datum::Int(n),
            Datum::Int(-n),
            Datum::Int(n),
            Datum::Interval(Interval::new(1, -2, n)),
            Datum::Uuid([7; 16]),
        ]
    };
    let nulls = vec![Datum::Null; types.len()];
    let rows = [full(1, "a\0b", number("1.50")), full(77, "", number("-123456789.000001")), nulls];
    survives(&desc(&types), &batch(rows.clone()));
    survives(&desc(&types), &batch([full(1, "x", number("NaN")), rows[1].clone()]));
    let long = number("123456789012345678901234567890.123456789");
    survives(&desc(&types), &batch([full(1, "x", long), full(2, "x", number("0.00000000000000000001"))]));
    survives(&desc(&types), &Updates::new());
}

#[test]
fn values_outside_their_type_are_kept() {
    let wrong = batch([vec![Datum::Int(1 << 40)], vec![Datum::Text("not a number")], vec![Datum::Null]]);
    survives(&desc(&[BaseType::Int4]), &wrong);
}

#[test]
fn errors_have_a_half_of_their_own() {
    let desc = desc(&[BaseType::Int8, BaseType::Int8]);
    let errors = batch([vec![Datum::Text("22012:division by zero")]]);
    let part = encode_part(&desc, Half::Errors, &errors).expect("encodes");
    assert_eq!(decode_part(&desc, "parquet", &part.bytes).expect("decodes"), errors);
}

#[test]
fn filters_choose_and_advance() {
    let desc = desc(&[BaseType::Int8]);
    let updates = batch((0..10).map(|i| vec![Datum::Int(i)]));
    let part = encode_part(&desc, Half::Ok, &updates).expect("encodes");
    let times = |filter: PartFilter| {
        let mut times = Vec::new();
        for (encoding, bytes) in [("parquet", &part.bytes), ("flat", &updates.encode().expect("small"))] {
            let got = decode_part_filtered(&desc, encoding, bytes, &filter).expect("decodes");
            times.push(got.times);
        }
        assert_eq!(times[0], times[1]);
        times.remove(0)
    };
    let filter = PartFilter { lower: 3, upper: Some(6), ..PartFilter::default() };
    assert_eq!(times(filter), [3, 4, 5]);
    assert_eq!(times(PartFilter { as_of: Some(4), ..filter }), [4, 4, 5]);
    assert_eq!(times(PartFilter { stamp: Some(5), ..filter }), [5; 10]);
    assert!(times(PartFilter { stamp: Some(6), ..filter }).is_empty());
}

#[test]
fn merging_advances_and_consolidates() {
    let desc = desc(&[BaseType::Int8]);
    let mut one = Updates::new();
    let mut two = Updates::new();
    for i in 0..1000i64 {
        one.push(&pack([Datum::Int(i)]), 1, 1);
        two.push(&pack([Datum::Int(i)]), 2 + (i as u64 % 2) * 10, if i % 4 == 0 { -1 } else { 1 });
    }
    let part = encode_part(&desc, Half::Ok, &one).expect("encodes");
    let flat = two.encode().expect("small");
    let inputs = [
        MergeInput { encoding: "parquet", bytes: &part.bytes, stamp: None },
        MergeInput { encoding: "flat", bytes: &flat, stamp: None },
    ];
    let merged = merge_parts(&desc, Half::Ok, &inputs, RowRange::default(), 5, 8 << 10).expect("merges");
    assert!(merged.len() > 1);
    let mut got = Updates::new();
    for part in &merged {
        for (row, time, diff) in decode_part(&desc, "parquet", &part.bytes).expect("decodes").iter() {
            got.push(row, time, diff);
        }
    }
    for pair in merged.windows(2) {
        assert!(pair[0].info.last.as_ref().expect("known") < &pair[1].info.first);
    }
    let cut = &merged[1].info.first;
    let ranges = [RowRange { low: None, high: Some(cut) }, RowRange { low: Some(cut), high: None }];
    let sizes = ranges.map(|range| {
        let parts = merge_parts(&desc, Half::Ok, &inputs, range, 5, 1 << 30).expect("merges");
        parts.iter().map(|part| part.info.updates).sum::<usize>()
    });
    assert_eq!(sizes, [merged[0].info.updates, got.len() - merged[0].info.updates]);
    let mut want = Updates::new();
    for (row, time, diff) in one.iter().chain(two.iter()) {
        want.push(row, time.max(5), diff);
    }
    assert_eq!(got, want.consolidate());
}

#[test]
fn statistics_bound_every_value() {
    let desc = desc(&[BaseType::Int8, BaseType::Text]);
    let long = "z".repeat(500);
    let rows = [
        vec![Datum::Int(5), Datum::Text("m")],
        vec![Datum::Int(-7), Datum::Text(&long)],
        vec![Datum::Null, Datum::Null],
    ];
    let stats = encode_part(&desc, Half::Ok, &batch(rows)).expect("encodes").info.stats;
    assert_eq!(stats[0].low, Some(Datum::Int(-7).to_bytes()));
    assert_eq!(stats[0].high, Some(Datum::Int(5).to_bytes()));
    assert_eq!((stats[0].nulls, stats[1].nulls), (1, 1));
    let high = stats[1].high.clone().expect("known");
    assert!(high.len() <= 64 && high > Datum::Text(&long).to_bytes());
}

#[test]
fn damaged_parts_are_errors() {
    let desc = desc(&[BaseType::Int8, BaseType::Text]);
    let rows = (0..500).map(|i| vec![Datum::Int(i), Datum::Text("some text")]);
    let part = encode_part(&desc, Half::Ok, &batch(rows)).expect("encodes").bytes;
    std::panic::set_hook(Box::new(|_| {}));
    for at in (0..part.len()).step_by(7) {
        let mut damaged = part.clone();
        damaged[at] ^= 0x55;
        let _ = decode_part(&desc, "parquet", &damaged);
        assert!(decode_part(&desc, "parquet", &part[..at]).is_err());
    }
    let _ = std::panic::take_hook();
    assert!(decode_part(&desc, "parquet", b"").is_err());
    assert!(decode_part(&desc, "orc", &part).is_err());
    let wider = crate::desc(&[BaseType::Int8, BaseType::Text, BaseType::Text]);
    assert!(decode_part(&wider, "parquet", &part).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_batches_survive(rows in prop::collection::vec(
        (prop::option::of(any::<i64>()), prop::option::of(".{0,20}"), any::<u64>(), -3i64..3), 0..200)
    ) {
        let mut updates = Updates::new();
        for (number, text, time, diff) in &rows {
            let number = number.map_or(Datum::Null, Datum::Int);
            let text = text.as_deref().map_or(Datum::Null, Datum::Text);
            updates.push(&pack([number, text]), *time, *diff);
        }
        survives(&desc(&[BaseType::Int8, BaseType::Text]), &updates);
    }
}

/// What a table holds for rows that are older than its last column.
fn with_added(types: &[BaseType], added: &[Datum<'_>]) -> RelationDesc {
    let added = added.iter().map(|datum| ByteBuf::from(pack([*datum]))).collect();
    RelationDesc { added, ..desc(types) }
}

#[test]
fn parts_are_read_in_the_shape_that_is_asked_for() {
    let types = [BaseType::Int4, BaseType::Text, BaseType::Int4];
    let (old, new) = (desc(&types[..1]), with_added(&types, &[Datum::Text("none"), Datum::Null]));
    let before = batch([vec![Datum::Int(1)], vec![Datum::Int(2)]]);
    let after = batch([vec![Datum::Int(1), Datum::Text("a"), Datum::Int(7)]]);
    let filled = batch([
        vec![Datum::Int(1), Datum::Text("none"), Datum::Null],
        vec![Datum::Int(2), Datum::Text("none"), Datum::Null],
    ]);
    let part = encode_part(&old, Half::Ok, &before).expect("encodes").bytes;
    assert_eq!(decode_part(&new, "parquet", &part).expect("decodes"), filled);
    let flat = before.encode().expect("encodes");
    assert_eq!(decode_part(&new, "flat", &flat).expect("decodes"), filled);
    let part = encode_part(&new, Half::Ok, &after).expect("encodes").bytes;
    let first = batch([vec![Datum::Int(1)]]);
    assert_eq!(decode_part(&old, "parquet", &part).expect("decodes"), first);
    // What was written in the old shape is stored in the new one, by writers and by compaction.
    let part = encode_part(&new, Half::Ok, &before).expect("encodes").bytes;
    assert_eq!(decode_part(&new, "parquet", &part).expect("decodes"), filled);
    let input = MergeInput { encoding: "flat", bytes: &flat, stamp: None };
    let merged = merge_parts(&new, Half::Ok, &[input], RowRange::default(), 0, 1 << 20).expect("merges");
    assert_eq!(decode_part(&new, "parquet", &merged[0].bytes).expect("decodes"), filled);
    // Columns that were there from the beginning are never missing.
    let wider = with_added(&types, &[Datum::Null]);
    assert!(decode_part(&wider, "flat", &flat).is_err());
    let part = encode_part(&old, Half::Ok, &before).expect("encodes").bytes;
    assert!(decode_part(&wider, "parquet", &part).is_err());
}
