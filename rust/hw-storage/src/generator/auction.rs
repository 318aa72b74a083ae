//! AUCTION: an auction house. Round 0 makes organizations, users and accounts; each later round
//! opens one auction and places ten bids on recent ones.
//!
//! Tables: `organizations (id int8, name text)`, `users (id int8, org_id int8, name text)`,
//! `accounts (id int8, org_id int8, balance int8)`,
//! `auctions (id int8, seller int8, item text, end_time timestamptz)`,
//! `bids (id int8, buyer int8, auction_id int8, amount int4, bid_time timestamptz)`.

use super::{Generator, Outputs};
use crate::rng::Rng;
use hw_types::row::{push_int, push_text};

const BIDS_A_ROUND: u64 = 10;
/// An auction is open for this long, in microseconds.
const OPEN_MICROS: i64 = 10_000_000;
/// Bids go to one of so many auctions, the newest.
const RECENT_AUCTIONS: u64 = 5;
const USERS_AN_ORGANIZATION: usize = 25;
const ORGANIZATIONS: [&str; 8] = [
    "Alder Freight",
    "Bellwether Labs",
    "Cormorant Press",
    "Driftwood Supply",
    "Estuary Foods",
    "Fennel & Sons",
    "Gannet Optics",
    "Harbour Mutual",
];
const GIVEN_NAMES: [&str; 10] =
    ["Ada", "Bruno", "Chen", "Dalia", "Emre", "Fatou", "Goran", "Hana", "Ivo", "Jun"];
const FAMILY_NAMES: [&str; 10] =
    ["Abara", "Bloch", "Castro", "Dufour", "Eriksen", "Farkas", "Greco", "Hale", "Ito", "Jansen"];
const ITEMS: [&str; 8] = [
    "City Bar Crawl",
    "Best Pizza in Town",
    "Gift Basket",
    "Signed Memorabilia",
    "Custom Art",
    "Sailing Lesson",
    "Vintage Radio",
    "Rare Orchid",
];

/// See the module.
pub struct Auction {
    seed: u64,
}

impl Auction {
    /// An auction house; different seeds give different trade.
    pub fn new(seed: u64) -> Self {
        Auction { seed }
    }

    fn users() -> u64 {
        (ORGANIZATIONS.len() * USERS_AN_ORGANIZATION) as u64
    }

    fn snapshot(&self, out: &mut Outputs) {
        let mut rng = Rng::new(&[self.seed, 0]);
        let mut user = 0;
        for (at, name) in ORGANIZATIONS.iter().enumerate() {
            let organization = at as i64 + 1;
            out.push("organizations", 1, |row| {
                push_int(row, organization);
                push_text(row, name);
            });
            let balance = rng.between(10_000, 1_000_000);
            out.push("accounts", 1, |row| {
                push_int(row, organization);
                push_int(row, organization);
                push_int(row, balance);
            });
            for _ in 0..USERS_AN_ORGANIZATION {
                user += 1;
                let name = format!("{} {}", rng.pick(&GIVEN_NAMES), rng.pick(&FAMILY_NAMES));
                out.push("users", 1, |row| {
                    push_int(row, user);
                    push_int(row, organization);
                    push_text(row, &name);
                });
            }
        }
    }

    fn trade(&self, offset: u64, now_micros: i64, out: &mut Outputs) {
        let mut rng = Rng::new(&[self.seed, offset]);
        let seller = 1 + rng.below(Self::users()) as i64;
        let item = rng.pick(&ITEMS);
        out.push("auctions", 1, |row| {
            push_int(row, offset as i64);
            push_int(row, seller);
            push_text(row, item);
            push_int(row, now_micros + OPEN_MICROS);
        });
        for n in 0..BIDS_A_ROUND {
            let id = ((offset - 1) * BIDS_A_ROUND + n + 1) as i64;
            let buyer = 1 + rng.below(Self::users()) as i64;
            let auction = offset - rng.below(RECENT_AUCTIONS.min(offset));
            let amount = rng.between(1, 100);
            out.push("bids", 1, |row| {
                push_int(row, id);
                push_int(row, buyer);
                push_int(row, auction as i64);
                push_int(row, amount);
                push_int(row, now_micros);
            });
        }
    }
}

impl Generator for Auction {
    fn step(&mut self, offset: u64, _: u64, now_micros: i64, out: &mut Outputs) -> bool {
        if offset == 0 {
            self.snapshot(out)
        } else {
            self.trade(offset, now_micros, out)
        }
        false
    }
}
