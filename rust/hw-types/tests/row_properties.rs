//! What the encoding promises, over arbitrary datums: order, length, round trip, no panic on noise.

use hw_types::arena::Arena;
use hw_types::container;
use hw_types::datum::{Array, Datum, Jsonb, List, Map, Record};
use hw_types::interval::Interval;
use hw_types::jsonb;
use hw_types::numeric::Numeric;
use hw_types::order::{self, ColumnOrder};
use hw_types::row;
use proptest::prelude::*;
use std::cmp::Ordering;

fn int() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -300i64..300, Just(i64::MIN), Just(i64::MAX), any::<i32>().prop_map(i64::from)]
}

fn numeric() -> impl Strategy<Value = Numeric> {
    let finite = (any::<bool>(), 0u128..10u128.pow(30), -39i32..9)
        .prop_map(|(negative, c, e)| Numeric::from_parts(negative, c, e).unwrap_or(Numeric::ZERO));
    let digits = "-?[0-9]{1,20}\\.[0-9]{1,19}".prop_map(|text| Numeric::parse(&text).expect("digits"));
    let special = prop_oneof![Just(Numeric::NAN), Just(Numeric::INFINITY), Just(Numeric::NEG_INFINITY)];
    prop_oneof![4 => finite, 4 => digits, 1 => special, 2 => int().prop_map(Numeric::from)]
}

fn interval() -> impl Strategy<Value = Interval> {
    (any::<i32>(), any::<i32>(), any::<i64>()).prop_map(|(m, d, u)| Interval::new(m, d, u))
}

fn json() -> impl Strategy<Value = Vec<u8>> {
    let mut none = Vec::new();
    jsonb::push_null(&mut none);
    let leaf = prop_oneof![
        Just(none),
        any::<bool>().prop_map(|b| built(|out| jsonb::push_bool(out, b))),
        "[a-c\0]{0,3}".prop_map(|s| built(|out| jsonb::push_string(out, &s))),
        numeric().prop_map(|n| built(|out| jsonb::push_number(out, &n))),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let array = prop::collection::vec(inner.clone(), 0..4).prop_map(|items| {
            built(|out| {
                jsonb::push_array(out, items.len() as u32);
                items.iter().for_each(|item| out.extend_from_slice(item));
            })
        });
        let object = prop::collection::vec(("[a-c]{0,2}", inner), 0..4)
            .prop_map(|members| built(|out| jsonb::push_members(out, members)));
        prop_oneof![array, object]
    })
}

fn built(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// Encoded datums of every kind.
fn datum() -> impl Strategy<Value = Vec<u8>> {
    let of = |d: Datum<'_>| d.to_bytes();
    let leaf = prop_oneof![
        Just(of(Datum::Null)),
        any::<bool>().prop_map(move |b| of(Datum::bool(b))),
        int().prop_map(move |n| of(Datum::Int(n))),
        any::<u64>().prop_map(move |n| of(Datum::uint(n))),
        any::<f32>().prop_map(move |n| of(Datum::Float4(n))),
        any::<f64>().prop_map(move |n| of(Datum::Float8(n))),
        numeric().prop_map(move |n| of(Datum::Numeric(n))),
        "[a-z\0é]{0,5}".prop_map(move |s| of(Datum::Text(&s))),
        prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..6)
            .prop_map(move |b| of(Datum::Bytes(&b))),
        any::<[u8; 16]>().prop_map(move |b| of(Datum::Uuid(b))),
        interval().prop_map(move |i| of(Datum::Interval(i))),
        json().prop_map(move |j| of(Datum::Jsonb(Jsonb(&j)))),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let items = prop::collection::vec(inner.clone(), 0..4);
        let array = items.clone().prop_map(move |items| {
            let body = built(|out| {
                items.iter().for_each(|item| out.extend_from_slice(item));
                let dimensions = if items.is_empty() { vec![] } else { vec![items.len()] };
                container::push_array_end(out, &dimensions);
            });
            of(Datum::Array(Array(&body)))
        });
        let list = items.clone().prop_map(move |items| {
            let body = [items.concat(), vec![0]].concat();
            of(Datum::List(List(&body)))
        });
        let record = items.prop_map(move |items| {
            let body = [items.concat(), vec![0]].concat();
            of(Datum::Record(Record(&body)))
        });
        let map = prop::collection::btree_map("[a-c]{0,2}", inner, 0..3).prop_map(move |entries| {
            let body = built(|out| {
                for (key, value) in &entries {
                    row::push_text(out, key);
                    out.extend_from_slice(value);
                }
                container::push_end(out);
            });
            of(Datum::Map(Map(&body)))
        });
        prop_oneof![array, list, record, map]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn datums_survive(bytes in datum()) {
        let arena = Arena::new();
        let read = Datum::from_bytes(&bytes, &arena).expect("what was written reads");
        prop_assert_eq!(read.to_bytes(), bytes);
    }

    #[test]
    fn skip_is_the_length(a in datum(), b in datum()) {
        let row = [a.clone(), b.clone()].concat();
        prop_assert_eq!(row::skip(&row), a.len());
        prop_assert_eq!(row::check(&row, 2), Ok(()));
        prop_assert_eq!(row::check(&row, 1), Err(row::RowError::Trailing));
        prop_assert_eq!(row::split(&row).collect::<Vec<_>>(), vec![&a[..], &b[..]]);
    }

    #[test]
    fn bytes_order_as_datums(a in datum(), b in datum()) {
        let arena = Arena::new();
        let x = Datum::from_bytes(&a, &arena).expect("written");
        let y = Datum::from_bytes(&b, &arena).expect("written");
        prop_assert_eq!(x.compare(&y), a.cmp(&b));
        prop_assert!(a == b || !a.starts_with(&b));
    }

    #[test]
    fn ints_order(a in int(), b in int()) {
        prop_assert_eq!(Datum::Int(a).to_bytes().cmp(&Datum::Int(b).to_bytes()), a.cmp(&b));
    }

    #[test]
    fn uints_order(a in any::<u64>(), b in any::<u64>()) {
        prop_assert_eq!(Datum::uint(a).to_bytes().cmp(&Datum::uint(b).to_bytes()), a.cmp(&b));
    }

    #[test]
    fn floats_order(a in any::<f64>(), b in any::<f64>()) {
        let want = a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
        prop_assert_eq!(Datum::Float8(a).to_bytes().cmp(&Datum::Float8(b).to_bytes()), want);
    }

    #[test]
    fn numerics_order_and_print(a in numeric(), b in numeric()) {
        let (x, y) = (Datum::Numeric(a).to_bytes(), Datum::Numeric(b).to_bytes());
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(Numeric::parse(&a.to_string()), Ok(a));
    }

    #[test]
    fn intervals_order(a in interval(), b in interval()) {
        prop_assert_eq!(Datum::Interval(a).to_bytes().cmp(&Datum::Interval(b).to_bytes()), a.cmp(&b));
    }

    #[test]
    fn small_numerics_order_as_integers(a in -100_000i64..100_000, b in -100_000i64..100_000, e in -8i32..8) {
        let n = |v: i64| Numeric::from_parts(v < 0, v.unsigned_abs().into(), e).expect("small");
        let (x, y) = (Datum::Numeric(n(a)).to_bytes(), Datum::Numeric(n(b)).to_bytes());
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
    }

    #[test]
    fn noise_is_an_error_or_a_row(noise in prop::collection::vec(any::<u8>(), 0..40)) {
        let arena = Arena::new();
        if row::check(&noise, 1).is_ok() {
            let datum = Datum::from_bytes(&noise, &arena).expect("checked");
            prop_assert_eq!(row::skip(&datum.to_bytes()), datum.to_bytes().len());
        }
    }

    #[test]
    fn damaged_rows_do_not_panic(bytes in datum(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut damaged = bytes;
        let at = at.index(damaged.len());
        damaged[at] = with;
        let _ = row::check(&damaged, 1);
        damaged.truncate(at);
        prop_assert!(row::check(&damaged, 1).is_err());
    }
}

#[test]
fn nulls_and_directions() {
    let rows: Vec<Vec<u8>> =
        [Datum::Int(1), Datum::Null, Datum::Int(2)].iter().map(|d| row::pack([*d])).collect();
    let by = |desc, nulls_last| [ColumnOrder { column: 0, desc, nulls_last }];
    assert_eq!(order::compare(&rows[0], &rows[1], &by(false, true)), Ordering::Less);
    assert_eq!(order::compare(&rows[0], &rows[1], &by(true, false)), Ordering::Greater);
    assert_eq!(order::compare(&rows[0], &rows[1], &by(true, true)), Ordering::Less);
    assert_eq!(order::compare(&rows[0], &rows[2], &by(true, true)), Ordering::Greater);
}

#[test]
fn numerics_keep_39_digits() {
    for text in [
        "999999999999999999999999999999999999999",
        "-123456789012345678901234567890123456789",
        "0.000000000000000000000000000000000000001",
        "340282366920938463463374607431768211456",
        "1.23456789012345678901234567890123456789",
    ] {
        let numeric = Numeric::parse(text).expect("fits");
        assert_eq!(numeric.to_string(), text);
        let arena = Arena::new();
        let bytes = Datum::Numeric(numeric).to_bytes();
        assert_eq!(Datum::from_bytes(&bytes, &arena), Ok(Datum::Numeric(numeric)));
    }
    assert!(Numeric::parse("1e39").is_err());
    assert!(Numeric::parse("1e-41").is_err());
    assert_eq!(Numeric::parse("1.5e3").map(|n| n.to_string()), Ok("1500".into()));
    assert_eq!(Numeric::parse("0.00").map(|n| n.to_string()), Ok("0".into()));
}

#[test]
fn deep_nesting_is_refused() {
    let deep = [vec![0x41; 4000], vec![0; 4000]].concat();
    assert_eq!(row::check(&deep, 1), Err(row::RowError::Depth));
}

#[test]
fn quotients_round_half_away_at_39_digits() {
    let n = |text: &str| Numeric::parse(text).expect("a number");
    let divide = |a: &str, b: &str| n(a).div(&n(b)).map(|quotient| quotient.to_string());
    assert_eq!(divide("1", "3"), Ok("0.333333333333333333333333333333333333333".into()));
    assert_eq!(divide("2", "3"), Ok("0.666666666666666666666666666666666666667".into()));
    assert_eq!(divide("10", "4"), Ok("2.5".into()));
    assert_eq!(divide("-1", "7"), Ok("-0.142857142857142857142857142857142857143".into()));
    assert_eq!(
        divide("1", "123456789012345678901234567890"),
        Ok("0.000000000000000000000000000008100000073".into())
    );
}

proptest! {
    #[test]
    fn dividing_undoes_multiplying(a in 1i64..1_000_000_000, b in 1i64..1_000_000_000, e in -9i32..9) {
        let x = Numeric::from_parts(false, a as u128, e).expect("small");
        let y = Numeric::from(b);
        let product = x.mul(&y).expect("small");
        prop_assert_eq!(product.div(&y), Ok(x));
        prop_assert_eq!(x.add(&y).and_then(|sum| sum.sub(&y)), Ok(x));
    }

    #[test]
    fn word_division_is_big_division(a in 1u64.., b in 1u64..) {
        // Six more zeros push the coefficients beyond a word, and the quotient stays the same.
        let wide = |v: u64| Numeric::from_parts(false, u128::from(v) * 1_000_003, 0).expect("fits");
        let narrow = |v: u64| Numeric::from_parts(false, u128::from(v), 0).expect("fits");
        prop_assert_eq!(narrow(a).div(&narrow(b)), wide(a).div(&wide(b)));
    }
}
