//! Casts between containers, element by element.
//!
//! The call's type says the target; a witness argument says the source. The kernels of the elements
//! are looked up on the first row, and kept.

use super::{CallInfo, Evaluated, Kernel, Table, arg, lax};
use crate::error::EvalError;
use hw_types::arena::Arena;
use hw_types::container;
use hw_types::datum::{Array, Datum, List, Record};
use hw_types::row;
use hw_types::scalar::{BaseType, ScalarType};

/// How one element, or one field, is cast.
#[derive(Debug)]
pub(crate) struct Step {
    kernel: Kernel,
    info: CallInfo,
    witness: bool,
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kernel")
    }
}

impl Step {
    fn new(source: &ScalarType, target: &ScalarType) -> Result<Step, EvalError> {
        let same =
            source.base == target.base && source.element == target.element && source.fields == target.fields;
        let unmodified = target.modifier.is_none() || source.modifier == target.modifier;
        let kernel = if same && unmodified {
            Kernel::Identity
        } else {
            let name = format!("cast_{}_{}", word(source.base), word(target.base));
            super::resolve(&name)
                .ok_or_else(|| EvalError::internal(format!("no kernel is named \"{name}\"")))?
        };
        let types = vec![Some(source.clone()), Some(source.clone())];
        let info = CallInfo::new(target.clone(), types, vec![None, None]);
        Ok(Step { kernel, info, witness: is_container(source.base) })
    }
    fn apply<'a>(&'a self, datum: Datum<'a>, arena: &'a Arena) -> Evaluated<'a> {
        if datum.is_null() {
            return Ok(datum);
        }
        match self.kernel {
            Kernel::Identity => Ok(datum),
            Kernel::Unary(f) => f(datum, arena),
            Kernel::Many { func, .. } if self.witness => func(&[datum, Datum::Null], &self.info, arena),
            Kernel::Many { func, .. } => func(&[datum], &self.info, arena),
            _ => Err(EvalError::internal("a cast takes one argument")),
        }
    }
}

fn is_container(base: BaseType) -> bool {
    use BaseType as B;
    matches!(base, B::Array | B::List | B::Map | B::Record | B::Range)
}

/// A type's word in the names of kernels, which is the one that plans carry.
fn word(base: BaseType) -> String {
    let debug = format!("{base:?}");
    match base {
        BaseType::MzTimestamp => "mz_timestamp".into(),
        BaseType::MzAclitem => "mz_aclitem".into(),
        _ => debug.to_lowercase(),
    }
}

fn element(ty: &ScalarType) -> Result<&ScalarType, EvalError> {
    ty.element.as_deref().ok_or_else(|| EvalError::internal("a container's type lacks its element"))
}

/// The step for elements, made on first use.
fn element_step(info: &CallInfo) -> Result<&Step, EvalError> {
    let steps = match info.nested.get() {
        Some(steps) => steps,
        None => {
            let step = Step::new(element(info.witness(1)?)?, element(&info.ty)?)?;
            info.nested.get_or_init(|| vec![step])
        }
    };
    steps.first().ok_or_else(|| EvalError::internal("a cast of a container has no steps"))
}

fn field_steps(info: &CallInfo) -> Result<&[Step], EvalError> {
    if let Some(steps) = info.nested.get() {
        return Ok(steps);
    }
    let source = &info.witness(1)?.fields;
    if source.len() != info.ty.fields.len() {
        return Err(EvalError::raise("42846", "cannot cast type record: wrong number of columns"));
    }
    let pairs = source.iter().zip(&info.ty.fields);
    let steps =
        pairs.map(|(from, to)| Step::new(&from.ty.ty, &to.ty.ty)).collect::<Result<Vec<Step>, _>>()?;
    Ok(info.nested.get_or_init(|| steps))
}

fn array_array<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let Datum::Array(array) = arg::<Datum<'a>>(args, 0)? else { return Ok(Datum::Null) };
    let step = element_step(info)?;
    let mut body = Vec::new();
    for item in array.items(arena) {
        row::push_datum(&mut body, step.apply(item, arena)?);
    }
    container::push_array_end(&mut body, &array.dimensions());
    Ok(Datum::Array(Array(arena.bytes(&body))))
}

fn list_body<'a>(
    items: impl Iterator<Item = Datum<'a>>,
    info: &'a CallInfo,
    arena: &'a Arena,
) -> Evaluated<'a> {
    let step = element_step(info)?;
    let mut body = Vec::new();
    for item in items {
        row::push_datum(&mut body, step.apply(item, arena)?);
    }
    container::push_end(&mut body);
    Ok(Datum::List(List(arena.bytes(&body))))
}

fn list_list<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let Datum::List(list) = arg::<Datum<'a>>(args, 0)? else { return Ok(Datum::Null) };
    list_body(list.items(arena), info, arena)
}

fn array_list<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let Datum::Array(array) = arg::<Datum<'a>>(args, 0)? else { return Ok(Datum::Null) };
    if array.dimensions().len() > 1 {
        let message = "casting multi-dimensional array to list; got array with more than one dimension";
        return Err(EvalError::raise("0A000", message));
    }
    list_body(array.items(arena), info, arena)
}

fn record_record<'a>(args: &[Datum<'a>], info: &'a CallInfo, arena: &'a Arena) -> Evaluated<'a> {
    let Datum::Record(record) = arg::<Datum<'a>>(args, 0)? else { return Ok(Datum::Null) };
    let steps = field_steps(info)?;
    let mut body = Vec::new();
    for (item, step) in record.items(arena).zip(steps) {
        row::push_datum(&mut body, step.apply(item, arena)?);
    }
    container::push_end(&mut body);
    Ok(Datum::Record(Record(arena.bytes(&body))))
}

pub(super) const KERNELS: Table = &[
    ("cast_array_array", lax(array_array)),
    ("cast_list_list", lax(list_list)),
    ("cast_array_list", lax(array_list)),
    ("cast_record_record", lax(record_record)),
    ("cast_int2vector_array", Kernel::Identity),
];
