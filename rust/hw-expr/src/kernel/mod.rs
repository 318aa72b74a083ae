//! The kernels: one implementation under each name that `headwater.ir.functions` gives.
//!
//! A kernel is strict unless it says otherwise: the interpreter returns NULL for a NULL argument
//! without calling it. Each family is a module with a table of names and functions.

pub(crate) mod args;
mod arithmetic;
mod array;
mod cast;
pub(crate) mod container;
pub(crate) mod datetime;
mod digest;
mod encoding;
pub(crate) mod json;
mod json_edit;
pub(crate) mod jsonpath;
mod logic;
mod math;
mod nested;
mod number;
mod number_format;
pub(crate) mod pattern;
mod quote;
mod range;
mod regexp;
mod similar;
mod size;
pub(crate) mod text;

pub(crate) use datetime::{between as interval_between, divide as interval_divide};
pub(crate) use math::sqrt as numeric_sqrt;

use crate::error::EvalError;
use args::Arg;
use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::scalar::ScalarType;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::OnceLock;

/// What a kernel returns.
pub type Evaluated<'a> = Result<Datum<'a>, EvalError>;
/// A kernel of one argument.
pub type Fn1 = for<'a> fn(Datum<'a>, &'a Arena) -> Evaluated<'a>;
/// A kernel of two arguments.
pub type Fn2 = for<'a> fn(Datum<'a>, Datum<'a>, &'a Arena) -> Evaluated<'a>;
/// A kernel of three arguments.
pub type Fn3 = for<'a> fn(Datum<'a>, Datum<'a>, Datum<'a>, &'a Arena) -> Evaluated<'a>;
/// A kernel of any number of arguments, or one that needs to know its call.
pub type FnN = for<'a> fn(&[Datum<'a>], &'a CallInfo, &'a Arena) -> Evaluated<'a>;

/// What a call knows before it sees any row.
#[derive(Debug)]
pub struct CallInfo {
    /// The result's type.
    pub ty: ScalarType,
    /// The arguments' types, where their expressions say them.
    pub arg_types: Vec<Option<ScalarType>>,
    /// The arguments that are literals, encoded.
    pub constants: Vec<Option<Vec<u8>>>,
    pattern: OnceLock<pattern::Compiled>,
    path: OnceLock<jsonpath::Path>,
    nested: OnceLock<Vec<nested::Step>>,
}

impl CallInfo {
    /// What is known of a call.
    pub fn new(ty: ScalarType, arg_types: Vec<Option<ScalarType>>, constants: Vec<Option<Vec<u8>>>) -> Self {
        CallInfo {
            ty,
            arg_types,
            constants,
            pattern: OnceLock::new(),
            path: OnceLock::new(),
            nested: OnceLock::new(),
        }
    }
    /// The type of argument `i`, which is there to say it.
    pub(crate) fn witness(&self, i: usize) -> Result<&ScalarType, EvalError> {
        self.arg_types
            .get(i)
            .and_then(Option::as_ref)
            .ok_or_else(|| EvalError::internal("a call lacks a type witness"))
    }
}

/// How two values must stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Compare {
    /// Whether they do.
    #[inline]
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Compare::Eq => order.is_eq(),
            Compare::Ne => order.is_ne(),
            Compare::Lt => order.is_lt(),
            Compare::Le => order.is_le(),
            Compare::Gt => order.is_gt(),
            Compare::Ge => order.is_ge(),
        }
    }
}

/// An implementation.
#[derive(Clone, Copy)]
pub enum Kernel {
    /// Strict, one argument.
    Unary(Fn1),
    /// Strict, two arguments.
    Binary(Fn2),
    /// Strict, three arguments.
    Ternary(Fn3),
    /// Strict comparison.
    Compare(Compare),
    /// Any arguments; strict only where it says so.
    Many {
        /// What it does.
        func: FnN,
        /// Whether NULL arguments are answered without it.
        strict: bool,
    },
    /// Lazy conjunction.
    And,
    /// Lazy disjunction.
    Or,
    /// Lazy choice of the first that is not NULL.
    Coalesce,
    /// Whether the argument is NULL.
    IsNull,
    /// The argument.
    Identity,
}

/// Names and implementations.
pub type Table = &'static [(&'static str, Kernel)];

fn tables() -> Vec<Table> {
    let single = [logic::KERNELS, math::KERNELS, text::KERNELS, pattern::KERNELS, digest::KERNELS];
    let more = [json::KERNELS, container::KERNELS, nested::KERNELS, range::KERNELS];
    let wider = [array::KERNELS, number::KERNELS, number_format::KERNELS, quote::KERNELS, regexp::KERNELS];
    let others = [encoding::KERNELS, json_edit::KERNELS, jsonpath::KERNELS, size::KERNELS];
    let patterns = [similar::KERNELS];
    let families = [arithmetic::KERNELS, cast::KERNELS, datetime::KERNELS];
    single
        .into_iter()
        .chain(more)
        .chain(wider)
        .chain(others)
        .chain(patterns)
        .chain(families.into_iter().flatten().copied())
        .collect()
}

fn registry() -> &'static HashMap<&'static str, Kernel> {
    static REGISTRY: OnceLock<HashMap<&'static str, Kernel>> = OnceLock::new();
    REGISTRY.get_or_init(|| tables().into_iter().flatten().copied().collect())
}

/// The kernel of a name.
pub fn resolve(name: &str) -> Option<Kernel> {
    registry().get(name).copied()
}

/// The names of all scalar kernels.
pub fn names() -> impl Iterator<Item = &'static str> {
    registry().keys().copied()
}

/// Makes a table entry of a strict kernel of one to three typed arguments; the body is a `Result`.
macro_rules! kernel {
    ($name:expr, |$a:ident: $A:ty| $body:expr) => {
        $crate::kernel::kernel!($name, _arena, |$a: $A| $body)
    };
    ($name:expr, |$a:ident: $A:ty, $b:ident: $B:ty| $body:expr) => {
        $crate::kernel::kernel!($name, _arena, |$a: $A, $b: $B| $body)
    };
    ($name:expr, |$a:ident: $A:ty, $b:ident: $B:ty, $c:ident: $C:ty| $body:expr) => {
        $crate::kernel::kernel!($name, _arena, |$a: $A, $b: $B, $c: $C| $body)
    };
    ($name:expr, $arena:ident, |$a:ident: $A:ty| $body:expr) => {
        (
            $name,
            $crate::kernel::Kernel::Unary({
                fn kernel<'a>(
                    x: hw_types::datum::Datum<'a>,
                    $arena: &'a hw_types::arena::Arena,
                ) -> $crate::kernel::Evaluated<'a> {
                    let $a = <$A as $crate::kernel::args::Arg<'a>>::of(x)?;
                    Ok($crate::kernel::args::Ret::ret($body?, $arena))
                }
                kernel
            }),
        )
    };
    ($name:expr, $arena:ident, |$a:ident: $A:ty, $b:ident: $B:ty| $body:expr) => {
        (
            $name,
            $crate::kernel::Kernel::Binary({
                fn kernel<'a>(
                    x: hw_types::datum::Datum<'a>,
                    y: hw_types::datum::Datum<'a>,
                    $arena: &'a hw_types::arena::Arena,
                ) -> $crate::kernel::Evaluated<'a> {
                    let $a = <$A as $crate::kernel::args::Arg<'a>>::of(x)?;
                    let $b = <$B as $crate::kernel::args::Arg<'a>>::of(y)?;
                    Ok($crate::kernel::args::Ret::ret($body?, $arena))
                }
                kernel
            }),
        )
    };
    ($name:expr, $arena:ident, |$a:ident: $A:ty, $b:ident: $B:ty, $c:ident: $C:ty| $body:expr) => {
        (
            $name,
            $crate::kernel::Kernel::Ternary({
                fn kernel<'a>(
                    x: hw_types::datum::Datum<'a>,
                    y: hw_types::datum::Datum<'a>,
                    z: hw_types::datum::Datum<'a>,
                    $arena: &'a hw_types::arena::Arena,
                ) -> $crate::kernel::Evaluated<'a> {
                    let $a = <$A as $crate::kernel::args::Arg<'a>>::of(x)?;
                    let $b = <$B as $crate::kernel::args::Arg<'a>>::of(y)?;
                    let $c = <$C as $crate::kernel::args::Arg<'a>>::of(z)?;
                    Ok($crate::kernel::args::Ret::ret($body?, $arena))
                }
                kernel
            }),
        )
    };
}
pub(crate) use kernel;

/// A strict kernel of any arguments.
pub(crate) const fn many(func: FnN) -> Kernel {
    Kernel::Many { func, strict: true }
}

/// A kernel that sees NULL arguments.
pub(crate) const fn lax(func: FnN) -> Kernel {
    Kernel::Many { func, strict: false }
}

/// Reads argument `i`.
pub(crate) fn arg<'a, T: Arg<'a>>(args: &[Datum<'a>], i: usize) -> Result<T, EvalError> {
    T::of(*args.get(i).ok_or_else(|| EvalError::internal("a kernel lacks an argument"))?)
}
