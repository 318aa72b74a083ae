//! MARKETING: campaigns of an advertiser. Round 0 makes the customers; each later round shows one of
//! them an advertisement, which may be clicked, become a lead, be predicted and converted.
//!
//! Tables: `customers (id int8, email text, income int8)`,
//! `impressions (id int8, customer_id int8, campaign_id int8, impression_time timestamptz)`,
//! `clicks (impression_id int8, click_time timestamptz)`,
//! `leads (id int8, customer_id int8, created_at timestamptz, converted_at timestamptz?,
//! conversion_amount int8?)`,
//! `coupons (id int8, lead_id int8, created_at timestamptz, amount int8)`,
//! `conversion_predictions (lead_id int8, experiment_bucket text, predicted_at timestamptz,
//! score float8)`.

use super::{Generator, Outputs};
use crate::rng::Rng;
use hw_types::datum::Datum;
use hw_types::row::{push_datum, push_int, push_null, push_text};

const CUSTOMERS: i64 = 1_000;
const CAMPAIGNS: i64 = 10;
/// Of so many impressions one is clicked,
const CLICKED: u64 = 3;
/// of so many of those one is a lead,
const LEADS: u64 = 2;
/// and of so many leads one buys at once.
const CONVERTED: u64 = 4;
const NAMES: [&str; 8] = ["ada", "bruno", "chen", "dalia", "emre", "fatou", "goran", "hana"];
const HOSTS: [&str; 3] = ["example.com", "example.net", "example.org"];

/// See the module.
pub struct Marketing {
    seed: u64,
}

impl Marketing {
    /// An advertiser; different seeds give different customers.
    pub fn new(seed: u64) -> Self {
        Marketing { seed }
    }

    fn snapshot(&self, out: &mut Outputs) {
        let mut rng = Rng::new(&[self.seed, 0]);
        for id in 1..=CUSTOMERS {
            let email = format!("{}{id}@{}", rng.pick(&NAMES), rng.pick(&HOSTS));
            let income = rng.between(10_000, 200_000);
            out.push("customers", 1, |row| {
                push_int(row, id);
                push_text(row, &email);
                push_int(row, income);
            });
        }
    }

    fn campaign(&self, offset: u64, now_micros: i64, out: &mut Outputs) {
        let mut rng = Rng::new(&[self.seed, offset]);
        let id = offset as i64;
        let customer = rng.between(1, CUSTOMERS);
        let campaign = rng.between(1, CAMPAIGNS);
        out.push("impressions", 1, |row| {
            push_int(row, id);
            push_int(row, customer);
            push_int(row, campaign);
            push_int(row, now_micros);
        });
        if rng.below(CLICKED) != 0 {
            return;
        }
        out.push("clicks", 1, |row| {
            push_int(row, id);
            push_int(row, now_micros);
        });
        if rng.below(LEADS) == 0 {
            self.lead(id, customer, now_micros, &mut rng, out);
        }
    }

    fn lead(&self, id: i64, customer: i64, now_micros: i64, rng: &mut Rng, out: &mut Outputs) {
        let amount = (rng.below(CONVERTED) == 0).then(|| rng.between(100, 10_000));
        out.push("leads", 1, |row| {
            push_int(row, id);
            push_int(row, customer);
            push_int(row, now_micros);
            match amount {
                Some(amount) => {
                    push_int(row, now_micros);
                    push_int(row, amount);
                }
                None => {
                    push_null(row);
                    push_null(row);
                }
            }
        });
        let bucket = rng.pick(&["baseline", "experiment"]);
        let score = rng.between(0, 1_000) as f64 / 1_000.0;
        out.push("conversion_predictions", 1, |row| {
            push_int(row, id);
            push_text(row, bucket);
            push_int(row, now_micros);
            push_datum(row, Datum::Float8(score));
        });
        if bucket == "experiment" && amount.is_none() {
            let amount = rng.between(500, 1_500);
            out.push("coupons", 1, |row| {
                push_int(row, id);
                push_int(row, id);
                push_int(row, now_micros);
                push_int(row, amount);
            });
        }
    }
}

impl Generator for Marketing {
    fn step(&mut self, offset: u64, _: u64, now_micros: i64, out: &mut Outputs) -> bool {
        if offset == 0 {
            self.snapshot(out)
        } else {
            self.campaign(offset, now_micros, out)
        }
        false
    }
}
