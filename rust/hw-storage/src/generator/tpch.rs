//! TPCH: the eight tables of TPC-H at a scale factor, by the specification's cardinalities and value
//! ranges (section 4.2); texts are shorter than its grammar's. Each round after the first replaces
//! one order and its items.
//!
//! Keys are int8, quantities and prices numeric, dates date.

use super::{Generator, GeneratorError, Outputs, STEP_ROWS};
use crate::rng::Rng;
use hw_types::datum::Datum;
use hw_types::numeric::Numeric;
use hw_types::row::{push_datum, push_int, push_text};

const REGIONS: [&str; 5] = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"];
const NATIONS: [(&str, i64); 25] = [
    ("ALGERIA", 0),
    ("ARGENTINA", 1),
    ("BRAZIL", 1),
    ("CANADA", 1),
    ("EGYPT", 4),
    ("ETHIOPIA", 0),
    ("FRANCE", 3),
    ("GERMANY", 3),
    ("INDIA", 2),
    ("INDONESIA", 2),
    ("IRAN", 4),
    ("IRAQ", 4),
    ("JAPAN", 2),
    ("JORDAN", 4),
    ("KENYA", 0),
    ("MOROCCO", 0),
    ("MOZAMBIQUE", 0),
    ("PERU", 1),
    ("CHINA", 2),
    ("ROMANIA", 3),
    ("SAUDI ARABIA", 4),
    ("VIETNAM", 2),
    ("RUSSIA", 3),
    ("UNITED KINGDOM", 3),
    ("UNITED STATES", 1),
];
const SEGMENTS: [&str; 5] = ["AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD"];
const PRIORITIES: [&str; 5] = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"];
const INSTRUCTIONS: [&str; 4] = ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"];
const MODES: [&str; 7] = ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"];
const CONTAINER_SIZES: [&str; 5] = ["SM", "LG", "MED", "JUMBO", "WRAP"];
const CONTAINERS: [&str; 8] = ["CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM"];
const TYPES_1: [&str; 6] = ["STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"];
const TYPES_2: [&str; 5] = ["ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"];
const TYPES_3: [&str; 5] = ["TIN", "NICKEL", "BRASS", "STEEL", "COPPER"];
const COLOURS: [&str; 16] = [
    "almond",
    "azure",
    "beige",
    "blush",
    "chocolate",
    "coral",
    "cyan",
    "forest",
    "ghost",
    "green",
    "ivory",
    "lemon",
    "navy",
    "plum",
    "rose",
    "tan",
];
const WORDS: [&str; 16] = [
    "carefully",
    "final",
    "deposits",
    "sleep",
    "quickly",
    "express",
    "requests",
    "haggle",
    "furiously",
    "regular",
    "packages",
    "special",
    "pending",
    "accounts",
    "blithely",
    "ideas",
];
/// 1992-01-01 and the last order date, 1998-08-02, as days since the epoch.
const FIRST_DAY: i64 = 8035;
const LAST_DAY: i64 = 10440;
/// 1995-06-17, the specification's current date.
const CURRENT_DAY: i64 = 9298;

const PART: u64 = 1;
const SUPPLIER: u64 = 2;
const CUSTOMER: u64 = 3;
const ORDER: u64 = 4;

/// See the module.
pub struct Tpch {
    suppliers: u64,
    parts: u64,
    customers: u64,
    orders: u64,
}

impl Tpch {
    /// Fails where the scale factor is not in (0, 100].
    pub fn new(scale_factor: f64) -> Result<Self, GeneratorError> {
        if !(scale_factor > 0.0 && scale_factor <= 100.0) {
            return Err(GeneratorError::Option("SCALE FACTOR"));
        }
        let scaled = |base: f64| ((base * scale_factor) as u64).max(1);
        Ok(Tpch {
            suppliers: scaled(10_000.0),
            parts: scaled(200_000.0),
            customers: scaled(150_000.0),
            orders: scaled(1_500_000.0),
        })
    }

    fn fixed(&self, out: &mut Outputs) {
        for (at, name) in REGIONS.iter().enumerate() {
            let mut rng = Rng::new(&[0, at as u64]);
            out.push("region", 1, |row| {
                push_int(row, at as i64);
                push_text(row, name);
                push_text(row, &comment(&mut rng));
            });
        }
        for (at, (name, region)) in NATIONS.iter().enumerate() {
            let mut rng = Rng::new(&[0, 100 + at as u64]);
            out.push("nation", 1, |row| {
                push_int(row, at as i64);
                push_text(row, name);
                push_int(row, *region);
                push_text(row, &comment(&mut rng));
            });
        }
    }

    fn supplier(&self, key: u64, out: &mut Outputs) {
        let mut rng = Rng::new(&[SUPPLIER, key]);
        out.push("supplier", 1, |row| {
            push_int(row, key as i64);
            push_text(row, &format!("Supplier#{key:09}"));
            party(row, &mut rng);
            push_text(row, &comment(&mut rng));
        });
    }

    fn part(&self, key: u64, out: &mut Outputs) {
        let mut rng = Rng::new(&[PART, key]);
        let name: Vec<&str> = (0..5).map(|_| rng.pick(&COLOURS)).collect();
        let manufacturer = rng.between(1, 5);
        out.push("part", 1, |row| {
            push_int(row, key as i64);
            push_text(row, &name.join(" "));
            push_text(row, &format!("Manufacturer#{manufacturer}"));
            push_text(row, &format!("Brand#{manufacturer}{}", rng.between(1, 5)));
            let kind = [rng.pick(&TYPES_1), rng.pick(&TYPES_2), rng.pick(&TYPES_3)];
            push_text(row, &kind.join(" "));
            push_int(row, rng.between(1, 50));
            let container = [rng.pick(&CONTAINER_SIZES), rng.pick(&CONTAINERS)];
            push_text(row, &container.join(" "));
            push_cents(row, retail_cents(key));
            push_text(row, &comment(&mut rng));
        });
        for n in 0..4 {
            out.push("partsupp", 1, |row| {
                push_int(row, key as i64);
                push_int(row, self.supplier_of(key, n) as i64);
                push_int(row, rng.between(1, 9_999));
                push_cents(row, rng.between(100, 100_000));
                push_text(row, &comment(&mut rng));
            });
        }
    }

    /// The `n`th of a part's four suppliers, by the specification's formula.
    fn supplier_of(&self, part: u64, n: u64) -> u64 {
        let step = self.suppliers / 4 + (part - 1) / self.suppliers;
        (part + n * step) % self.suppliers + 1
    }

    fn customer(&self, key: u64, out: &mut Outputs) {
        let mut rng = Rng::new(&[CUSTOMER, key]);
        out.push("customer", 1, |row| {
            push_int(row, key as i64);
            push_text(row, &format!("Customer#{key:09}"));
            party(row, &mut rng);
            push_text(row, rng.pick(&SEGMENTS));
            push_text(row, &comment(&mut rng));
        });
    }

    /// Order `key` and its items, as version `version` of itself.
    fn order(&self, key: u64, version: u64, diff: i64, out: &mut Outputs) {
        let mut rng = Rng::new(&[ORDER, key, version]);
        let day = rng.between(FIRST_DAY, LAST_DAY);
        let items = rng.between(1, 7);
        let (mut total, mut shipped) = (0, 0);
        for line in 1..=items {
            let part = 1 + rng.below(self.parts);
            let quantity = rng.between(1, 50);
            let price = quantity * retail_cents(part);
            let (discount, tax) = (rng.between(0, 10), rng.between(0, 8));
            let ship = day + rng.between(1, 121);
            let (commit, receipt) = (day + rng.between(30, 90), ship + rng.between(1, 30));
            total += price * (100 + tax) * (100 - discount) / 10_000;
            let open = ship > CURRENT_DAY;
            shipped += i64::from(!open);
            let returned = if receipt > CURRENT_DAY { "N" } else { rng.pick(&["R", "A"]) };
            let supplier = self.supplier_of(part, rng.below(4));
            out.push("lineitem", diff, |row| {
                push_int(row, key as i64);
                push_int(row, part as i64);
                push_int(row, supplier as i64);
                push_int(row, line);
                push_cents(row, quantity * 100);
                push_cents(row, price);
                push_cents(row, discount);
                push_cents(row, tax);
                push_text(row, returned);
                push_text(row, if open { "O" } else { "F" });
                [ship, commit, receipt].iter().for_each(|day| push_int(row, *day));
                push_text(row, rng.pick(&INSTRUCTIONS));
                push_text(row, rng.pick(&MODES));
                push_text(row, &comment(&mut rng));
            });
        }
        let status = if shipped == items { "F" } else { ["O", "P"][usize::from(shipped > 0)] };
        // A third of the customers never order.
        let customer = 1 + rng.below(self.customers);
        let customer = if customer.is_multiple_of(3) { (customer - 1).max(1) } else { customer };
        out.push("orders", diff, |row| {
            push_int(row, key as i64);
            push_int(row, customer as i64);
            push_text(row, status);
            push_cents(row, total);
            push_int(row, day);
            push_text(row, rng.pick(&PRIORITIES));
            push_text(row, &format!("Clerk#{:09}", 1 + rng.below(1_000)));
            push_int(row, 0);
            push_text(row, &comment(&mut rng));
        });
    }

    /// The snapshot as one long list of entities, of which a step makes a range.
    fn entity(&self, at: u64, out: &mut Outputs) {
        let mut at = at;
        if at < self.suppliers {
            return self.supplier(at + 1, out);
        }
        at -= self.suppliers;
        if at < self.parts {
            return self.part(at + 1, out);
        }
        at -= self.parts;
        if at < self.customers {
            return self.customer(at + 1, out);
        }
        self.order(at - self.customers + 1, 0, 1, out);
    }
}

impl Generator for Tpch {
    fn step(&mut self, offset: u64, step: u64, _: i64, out: &mut Outputs) -> bool {
        if offset > 0 {
            let turn = offset - 1;
            let (key, version) = (turn % self.orders + 1, turn / self.orders);
            self.order(key, version, -1, out);
            self.order(key, version + 1, 1, out);
            return false;
        }
        if step == 0 {
            self.fixed(out);
        }
        // An entity is about five rows.
        let count = self.suppliers + self.parts + self.customers + self.orders;
        let size = STEP_ROWS / 5;
        let end = ((step + 1) * size).min(count);
        (step * size..end).for_each(|at| self.entity(at, out));
        end < count
    }
}

/// Address, nation, phone and account balance: what suppliers and customers share.
fn party(row: &mut Vec<u8>, rng: &mut Rng) {
    push_text(row, &format!("{} {}", rng.between(1, 9_999), rng.pick(&WORDS)));
    let nation = rng.between(0, 24);
    push_int(row, nation);
    let phone = [rng.between(100, 999), rng.between(100, 999), rng.between(1_000, 9_999)];
    push_text(row, &format!("{}-{}-{}-{}", nation + 10, phone[0], phone[1], phone[2]));
    push_cents(row, rng.between(-99_999, 999_999));
}

/// A part's price in cents, by the specification's formula.
fn retail_cents(part: u64) -> i64 {
    (90_000 + (part / 10) % 20_001 + 100 * (part % 1_000)) as i64
}

fn push_cents(row: &mut Vec<u8>, cents: i64) {
    let value = Numeric::from_parts(cents < 0, u128::from(cents.unsigned_abs()), -2);
    push_datum(row, Datum::Numeric(value.expect("a 64-bit number of cents fits 39 digits")));
}

fn comment(rng: &mut Rng) -> String {
    let words: Vec<&str> = (0..rng.between(3, 6)).map(|_| rng.pick(&WORDS)).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::round;

    #[test]
    fn cardinalities_follow_the_scale_factor() {
        let mut tpch = Tpch::new(0.001).expect("in range");
        let out = round(&mut tpch, 0, 0);
        let count = |name: &str| out.0[name].len();
        assert_eq!(
            [count("region"), count("nation"), count("supplier"), count("part"), count("partsupp")],
            [5, 25, 10, 200, 800]
        );
        assert_eq!([count("customer"), count("orders")], [150, 1500]);
        let a_order = count("lineitem") as f64 / count("orders") as f64;
        assert!((3.5..4.5).contains(&a_order), "{a_order}");
    }

    #[test]
    fn scale_factors_out_of_range_are_errors() {
        for bad in [0.0, -1.0, f64::NAN, 101.0] {
            assert!(Tpch::new(bad).is_err());
        }
    }
}
