//! Message digests: MD5 and the SHA family, after RFC 1321 and FIPS 180-4.

use super::{Table, kernel};
use crate::error::EvalError;
use crate::format;

type Result<T> = std::result::Result<T, EvalError>;

fn ok<T>(value: T) -> Result<T> {
    Ok(value)
}

/// The message with its padding: a one bit, zeros, the length in bits in `length` bytes.
fn padded(message: &[u8], block: usize, length: usize, big_endian: bool) -> Vec<u8> {
    let bits = (message.len() as u128) * 8;
    let mut out = message.to_vec();
    out.push(0x80);
    while out.len() % block != block - length {
        out.push(0);
    }
    if big_endian {
        out.extend_from_slice(&bits.to_be_bytes()[16 - length..]);
    } else {
        out.extend_from_slice(&bits.to_le_bytes()[..length]);
    }
    out
}

fn md5(message: &[u8]) -> Vec<u8> {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded(message, 64, 8, false).as_chunks::<64>().0 {
        let words: Vec<u32> = block.as_chunks::<4>().0.iter().map(|w| u32::from_le_bytes(*w)).collect();
        let [mut a, mut b, mut c, mut d] = state;
        for i in 0..64 {
            let (f, at) = match i / 16 {
                0 => ((b & c) | (!b & d), i),
                1 => ((d & b) | (!d & c), (5 * i + 1) % 16),
                2 => (b ^ c ^ d, (3 * i + 5) % 16),
                _ => (c ^ (b | !d), 7 * i % 16),
            };
            // The table of constants is defined by the sine.
            let constant = (((i + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(f).wrapping_add(constant).wrapping_add(words[at]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[i / 16][i % 4]));
        }
        for (word, add) in state.iter_mut().zip([a, b, c, d]) {
            *word = word.wrapping_add(add);
        }
    }
    state.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(super) fn sha1(message: &[u8]) -> Vec<u8> {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    for block in padded(message, 64, 8, true).as_chunks::<64>().0 {
        let mut w: Vec<u32> = block.as_chunks::<4>().0.iter().map(|w| u32::from_be_bytes(*w)).collect();
        for i in 16..80 {
            w.push((w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16]).rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (i, word) in w.iter().enumerate() {
            let (f, k) = match i / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6u32),
            };
            let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (word, add) in state.iter_mut().zip([a, b, c, d, e]) {
            *word = word.wrapping_add(add);
        }
    }
    state.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// The first 64 bits after the point of a root of each prime: FIPS 180-4's constants, by integer roots.
fn root_bits(prime: u128, cube: bool) -> u64 {
    use num_bigint::BigUint;
    let (degree, shift) = if cube { (3u32, 192u32) } else { (2, 128) };
    let root = (BigUint::from(prime) << shift).nth_root(degree);
    u128::try_from(root).map_or(0, |root| root as u64)
}

fn primes() -> impl Iterator<Item = u128> {
    (2u128..).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0))
}

struct Constants {
    rounds: Vec<u64>,
    squares: Vec<u64>,
}

fn constants() -> &'static Constants {
    static CONSTANTS: std::sync::OnceLock<Constants> = std::sync::OnceLock::new();
    CONSTANTS.get_or_init(|| Constants {
        rounds: primes().take(80).map(|prime| root_bits(prime, true)).collect(),
        squares: primes().take(16).map(|prime| root_bits(prime, false)).collect(),
    })
}

fn sha2_narrow(message: &[u8], is_224: bool) -> Vec<u8> {
    let table = constants();
    // SHA-224 begins with the second halves of the roots of the ninth to sixteenth primes.
    let mut state: Vec<u32> = match is_224 {
        true => table.squares[8..].iter().map(|bits| *bits as u32).collect(),
        false => table.squares[..8].iter().map(|bits| (bits >> 32) as u32).collect(),
    };
    for block in padded(message, 64, 8, true).as_chunks::<64>().0 {
        let mut w: Vec<u32> = block.as_chunks::<4>().0.iter().map(|w| u32::from_be_bytes(*w)).collect();
        for i in 16..64 {
            let (x, y) = (w[i - 15], w[i - 2]);
            let s0 = x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3);
            let s1 = y.rotate_right(17) ^ y.rotate_right(19) ^ (y >> 10);
            w.push(w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1));
        }
        let mut v = state.clone();
        for (i, word) in w.iter().enumerate() {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let round = (table.rounds[i] >> 32) as u32;
            let t1 = v[7].wrapping_add(s1).wrapping_add(choice).wrapping_add(round).wrapping_add(*word);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let t2 = s0.wrapping_add((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(t2);
        }
        state.iter_mut().zip(v).for_each(|(word, add)| *word = word.wrapping_add(add));
    }
    let mut out: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
    out.truncate(if is_224 { 28 } else { 32 });
    out
}

fn sha2_wide(message: &[u8], is_384: bool) -> Vec<u8> {
    let table = constants();
    let mut state: Vec<u64> = if is_384 { table.squares[8..].to_vec() } else { table.squares[..8].to_vec() };
    for block in padded(message, 128, 16, true).as_chunks::<128>().0 {
        let mut w: Vec<u64> = block.as_chunks::<8>().0.iter().map(|w| u64::from_be_bytes(*w)).collect();
        for i in 16..80 {
            let (x, y) = (w[i - 15], w[i - 2]);
            let s0 = x.rotate_right(1) ^ x.rotate_right(8) ^ (x >> 7);
            let s1 = y.rotate_right(19) ^ y.rotate_right(61) ^ (y >> 6);
            w.push(w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1));
        }
        let mut v = state.clone();
        for (i, word) in w.iter().enumerate() {
            let s1 = v[4].rotate_right(14) ^ v[4].rotate_right(18) ^ v[4].rotate_right(41);
            let choice = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let t1 =
                v[7].wrapping_add(s1).wrapping_add(choice).wrapping_add(table.rounds[i]).wrapping_add(*word);
            let s0 = v[0].rotate_right(28) ^ v[0].rotate_right(34) ^ v[0].rotate_right(39);
            let t2 = s0.wrapping_add((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(t2);
        }
        state.iter_mut().zip(v).for_each(|(word, add)| *word = word.wrapping_add(add));
    }
    let mut out: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
    out.truncate(if is_384 { 48 } else { 64 });
    out
}

/// A digest, and the size of its blocks in bytes.
type Digest = (fn(&[u8]) -> Vec<u8>, usize);

fn by_name(name: &str) -> Result<Digest> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "md5" => (md5, 64),
        "sha1" => (sha1, 64),
        "sha224" => (|m| sha2_narrow(m, true), 64),
        "sha256" => (|m| sha2_narrow(m, false), 64),
        "sha384" => (|m| sha2_wide(m, true), 128),
        "sha512" => (|m| sha2_wide(m, false), 128),
        _ => return Err(EvalError::parameter(format!("invalid hash algorithm '{name}'"))),
    })
}

fn digest(message: &[u8], name: &str) -> Result<Vec<u8>> {
    by_name(name).map(|(digest, _)| digest(message))
}

/// Source: RFC 2104.
fn hmac(message: &[u8], key: &[u8], name: &str) -> Result<Vec<u8>> {
    let (digest, block) = by_name(name)?;
    let mut key = if key.len() > block { digest(key) } else { key.to_vec() };
    key.resize(block, 0);
    let mixed = |pad: u8| key.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = digest(&[mixed(0x36), message.to_vec()].concat());
    Ok(digest(&[mixed(0x5c), inner].concat()))
}

fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    format::hex(bytes, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

pub(super) const KERNELS: Table = &[
    kernel!("md5_text", |a: &str| ok(hex(&md5(a.as_bytes())))),
    kernel!("md5_bytea", |a: &[u8]| ok(hex(&md5(a)))),
    kernel!("sha224_bytea", |a: &[u8]| ok(sha2_narrow(a, true))),
    kernel!("sha256_bytea", |a: &[u8]| ok(sha2_narrow(a, false))),
    kernel!("sha384_bytea", |a: &[u8]| ok(sha2_wide(a, true))),
    kernel!("sha512_bytea", |a: &[u8]| ok(sha2_wide(a, false))),
    kernel!("digest_text_text", |a: &str, b: &str| digest(a.as_bytes(), b)),
    kernel!("digest_bytea_text", |a: &[u8], b: &str| digest(a, b)),
    kernel!("hmac_text_text_text", |a: &str, b: &str, c: &str| hmac(a.as_bytes(), b.as_bytes(), c)),
    kernel!("hmac_bytea_bytea_text", |a: &[u8], b: &[u8], c: &str| hmac(a, b, c)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_digests_of_abc() {
        // Source: RFC 1321's test suite and FIPS 180-4's examples.
        assert_eq!(hex(&md5(b"abc")), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex(&sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hex(&sha2_narrow(b"abc", true)),
            "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"
        );
        assert_eq!(
            hex(&sha2_narrow(b"abc", false)),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(
            hex(&sha2_wide(b"abc", true)).starts_with("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163")
        );
        assert!(hex(&sha2_wide(b"abc", false)).starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn published_hmac() {
        // Source: RFC 4231, test case 2.
        let code = hmac(b"what do ya want for nothing?", b"Jefe", "sha256").expect("known");
        assert_eq!(hex(&code), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
