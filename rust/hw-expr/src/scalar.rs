//! Scalar expressions: as plans carry them ([`ScalarExpr`], field by field as in
//! `headwater.ir.scalar`) and as they are evaluated ([`Expr`], kernels resolved to functions).

use crate::error::EvalError;
use crate::kernel::{self, CallInfo, Compare, Fn1, Fn2, Fn3, FnN, Kernel};
use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::row;
use hw_types::scalar::{ColumnType, ScalarType};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use thiserror::Error;

/// An error as data, field by field as in `headwater.errors`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorFields {
    /// The five characters of its code.
    pub sqlstate: String,
    /// What is wrong.
    pub message: String,
}

/// An expression over the columns of one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ScalarExpr {
    /// The value of an input column.
    Column {
        /// From 0.
        index: usize,
    },
    /// A constant.
    Literal {
        /// One encoded datum.
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
        /// Its type.
        #[serde(rename = "type")]
        ty: ColumnType,
    },
    /// An expression known to fail.
    LiteralError {
        /// How it fails.
        error: ErrorFields,
        /// The type it would have.
        #[serde(rename = "type")]
        ty: ColumnType,
    },
    /// A kernel applied to arguments.
    Call {
        /// The kernel's name.
        func: String,
        /// The arguments.
        args: Vec<ScalarExpr>,
        /// The result's type.
        #[serde(rename = "type")]
        ty: ColumnType,
    },
    /// A choice, of which only the branch taken is evaluated.
    If {
        /// What decides.
        cond: Box<ScalarExpr>,
        /// Where it is true.
        then: Box<ScalarExpr>,
        /// Where it is false or NULL.
        els: Box<ScalarExpr>,
    },
    /// A call that sequencing replaces; only `mz_now` may reach a dataflow, within temporal bounds.
    Unmaterializable {
        /// Its name.
        func: String,
        /// The result's type.
        #[serde(rename = "type")]
        ty: ColumnType,
    },
    /// A parameter of a prepared statement.
    Parameter {
        /// From 1.
        number: usize,
        /// Its type.
        #[serde(rename = "type")]
        ty: ColumnType,
    },
}

/// Why an expression cannot be compiled: a bug of whoever made the plan.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// No kernel has this name.
    #[error("no kernel is named \"{0}\"")]
    UnknownKernel(String),
    /// The kernel takes another number of arguments.
    #[error("kernel \"{0}\" does not take {1} arguments")]
    Arity(String, usize),
    /// A literal is not an encoded datum.
    #[error("malformed literal: {0}")]
    Literal(#[from] row::RowError),
    /// A call that should have been replaced.
    #[error("{0} must be replaced before evaluation")]
    Unmaterializable(String),
}

/// A compiled expression.
#[derive(Debug)]
pub struct Expr {
    node: Node,
}

#[derive(Debug)]
enum Node {
    Column(usize),
    Parameter(usize),
    Constant(Datum<'static>),
    Text(Box<str>),
    Encoded(Box<[u8]>),
    Error(EvalError),
    Unary(Fn1, Box<Node>),
    Binary(Fn2, Box<[Node; 2]>),
    Ternary(Fn3, Box<[Node; 3]>),
    Compare(Compare, Box<[Node; 2]>),
    Many(Box<Many>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Coalesce(Box<[Node]>),
    IsNull(Box<Node>),
    If(Box<[Node; 3]>),
}

#[derive(Debug)]
struct Many {
    func: FnN,
    strict: bool,
    args: Box<[Node]>,
    info: CallInfo,
}

struct Env<'e, 'a> {
    columns: &'e [Datum<'a>],
    parameters: &'e [Datum<'a>],
    arena: &'a Arena,
}

type Evaluated<'a> = Result<Datum<'a>, EvalError>;

impl ScalarExpr {
    /// Resolves kernels and decodes literals, once, so that evaluation looks nothing up.
    pub fn compile(&self) -> Result<Expr, PlanError> {
        Ok(Expr { node: compile(self)? })
    }
    /// The type where the expression itself says it; columns do not.
    pub fn static_type(&self) -> Option<&ScalarType> {
        match self {
            ScalarExpr::Column { .. } => None,
            ScalarExpr::If { then, els, .. } => then.static_type().or_else(|| els.static_type()),
            ScalarExpr::Literal { ty, .. }
            | ScalarExpr::LiteralError { ty, .. }
            | ScalarExpr::Call { ty, .. }
            | ScalarExpr::Unmaterializable { ty, .. }
            | ScalarExpr::Parameter { ty, .. } => Some(&ty.ty),
        }
    }
    /// Calls `visit` on the index of every column it reads.
    pub fn columns(&self, visit: &mut impl FnMut(usize)) {
        match self {
            ScalarExpr::Column { index } => visit(*index),
            ScalarExpr::Call { args, .. } => args.iter().for_each(|arg| arg.columns(visit)),
            ScalarExpr::If { cond, then, els } => {
                [cond, then, els].into_iter().for_each(|part| part.columns(visit));
            }
            _ => {}
        }
    }
}

fn compile(expr: &ScalarExpr) -> Result<Node, PlanError> {
    Ok(match expr {
        ScalarExpr::Column { index } => Node::Column(*index),
        ScalarExpr::Parameter { number, .. } => Node::Parameter(*number),
        ScalarExpr::Literal { data, .. } => literal(data)?,
        ScalarExpr::LiteralError { error, .. } => {
            Node::Error(EvalError::raise(&error.sqlstate, error.message.clone()))
        }
        ScalarExpr::Unmaterializable { func, .. } => {
            return Err(PlanError::Unmaterializable(func.clone()));
        }
        ScalarExpr::If { cond, then, els } => {
            Node::If(Box::new([compile(cond)?, compile(then)?, compile(els)?]))
        }
        ScalarExpr::Call { func, args, ty } => call(func, args, ty)?,
    })
}

fn literal(data: &[u8]) -> Result<Node, PlanError> {
    row::check(data, 1)?;
    let arena = Arena::new();
    let (datum, _) = row::read_datum(data, &arena)?;
    Ok(match datum {
        Datum::Null => Node::Constant(Datum::Null),
        Datum::False => Node::Constant(Datum::False),
        Datum::True => Node::Constant(Datum::True),
        Datum::Int(value) => Node::Constant(Datum::Int(value)),
        Datum::UInt(value) => Node::Constant(Datum::UInt(value)),
        Datum::Float4(value) => Node::Constant(Datum::Float4(value)),
        Datum::Float8(value) => Node::Constant(Datum::Float8(value)),
        Datum::Numeric(value) => Node::Constant(Datum::Numeric(value)),
        Datum::Uuid(value) => Node::Constant(Datum::Uuid(value)),
        Datum::Interval(value) => Node::Constant(Datum::Interval(value)),
        Datum::Text(text) => Node::Text(text.into()),
        _ => Node::Encoded(data.into()),
    })
}

fn call(func: &str, args: &[ScalarExpr], ty: &ColumnType) -> Result<Node, PlanError> {
    let kernel = kernel::resolve(func).ok_or_else(|| PlanError::UnknownKernel(func.to_owned()))?;
    let mut nodes = args.iter().map(compile).collect::<Result<Vec<Node>, PlanError>>()?;
    let arity = || PlanError::Arity(func.to_owned(), args.len());
    let all = |nodes: Vec<Node>| nodes.into_boxed_slice();
    Ok(match kernel {
        Kernel::Unary(f) => Node::Unary(f, Box::new(exactly::<1>(nodes).ok_or_else(arity)?.into())),
        Kernel::Binary(f) => Node::Binary(f, Box::new(exactly(nodes).ok_or_else(arity)?)),
        Kernel::Ternary(f) => Node::Ternary(f, Box::new(exactly(nodes).ok_or_else(arity)?)),
        Kernel::Compare(how) => Node::Compare(how, Box::new(exactly(nodes).ok_or_else(arity)?)),
        Kernel::And => Node::And(all(nodes)),
        Kernel::Or => Node::Or(all(nodes)),
        Kernel::Coalesce => Node::Coalesce(all(nodes)),
        Kernel::IsNull => Node::IsNull(Box::new(exactly::<1>(nodes).ok_or_else(arity)?.into())),
        Kernel::Identity => nodes.pop().ok_or_else(arity)?,
        Kernel::Many { func, strict } => {
            let types = args.iter().map(|arg| arg.static_type().cloned()).collect();
            let constants = args.iter().map(constant_bytes).collect();
            let info = CallInfo::new(ty.ty.clone(), types, constants);
            Node::Many(Box::new(Many { func, strict, args: all(nodes), info }))
        }
    })
}

fn constant_bytes(expr: &ScalarExpr) -> Option<Vec<u8>> {
    match expr {
        ScalarExpr::Literal { data, .. } => Some(data.clone()),
        _ => None,
    }
}

fn exactly<const N: usize>(nodes: Vec<Node>) -> Option<[Node; N]> {
    nodes.try_into().ok()
}

impl From<[Node; 1]> for Node {
    fn from([node]: [Node; 1]) -> Self {
        node
    }
}

impl Expr {
    /// The value over `columns`. What it makes lives in `arena`.
    #[inline]
    pub fn eval<'a>(&'a self, columns: &[Datum<'a>], arena: &'a Arena) -> Evaluated<'a> {
        eval(&self.node, &Env { columns, parameters: &[], arena })
    }
    /// As [`Expr::eval`], with values for `$1`, `$2`, ….
    pub fn eval_with<'a>(
        &'a self,
        columns: &[Datum<'a>],
        parameters: &[Datum<'a>],
        arena: &'a Arena,
    ) -> Evaluated<'a> {
        eval(&self.node, &Env { columns, parameters, arena })
    }
    /// The column it is, where it is nothing else.
    pub fn as_column(&self) -> Option<usize> {
        match self.node {
            Node::Column(index) => Some(index),
            _ => None,
        }
    }
}

fn eval<'a>(node: &'a Node, env: &Env<'_, 'a>) -> Evaluated<'a> {
    match node {
        Node::Column(index) => Ok(env.columns[*index]),
        Node::Constant(datum) => Ok(*datum),
        Node::Text(text) => Ok(Datum::Text(text)),
        Node::Encoded(bytes) => Ok(row::read_datum(bytes, env.arena)?.0),
        Node::Unary(f, arg) => match eval(arg, env)? {
            Datum::Null => Ok(Datum::Null),
            datum => f(datum, env.arena),
        },
        Node::Binary(f, args) => match (eval(&args[0], env)?, eval(&args[1], env)?) {
            (Datum::Null, _) | (_, Datum::Null) => Ok(Datum::Null),
            (a, b) => f(a, b, env.arena),
        },
        Node::Compare(how, args) => match (eval(&args[0], env)?, eval(&args[1], env)?) {
            (Datum::Null, _) | (_, Datum::Null) => Ok(Datum::Null),
            (a, b) => Ok(Datum::bool(how.holds(a.compare(&b)))),
        },
        Node::Ternary(f, args) => match (eval(&args[0], env)?, eval(&args[1], env)?, eval(&args[2], env)?) {
            (Datum::Null, _, _) | (_, Datum::Null, _) | (_, _, Datum::Null) => Ok(Datum::Null),
            (a, b, c) => f(a, b, c, env.arena),
        },
        Node::And(args) => connect(args, env, Datum::False, Datum::True),
        Node::Or(args) => connect(args, env, Datum::True, Datum::False),
        Node::IsNull(arg) => Ok(Datum::bool(eval(arg, env)?.is_null())),
        Node::If(parts) => match eval(&parts[0], env)? {
            Datum::True => eval(&parts[1], env),
            _ => eval(&parts[2], env),
        },
        Node::Coalesce(args) => coalesce(args, env),
        Node::Many(many) => call_many(many, env),
        Node::Error(error) => Err(error.clone()),
        Node::Parameter(number) => env
            .parameters
            .get(number.wrapping_sub(1))
            .copied()
            .ok_or_else(|| EvalError::internal(format!("no value for parameter ${number}"))),
    }
}

/// AND and OR: a side that decides hides errors of the others; an error hides NULL.
fn connect<'a>(args: &'a [Node], env: &Env<'_, 'a>, decides: Datum<'a>, neutral: Datum<'a>) -> Evaluated<'a> {
    let (mut null, mut error) = (false, None);
    for arg in args {
        match eval(arg, env) {
            Ok(Datum::Null) => null = true,
            Ok(value) if value == decides => return Ok(decides),
            Ok(_) => {}
            Err(found) => error = error.or(Some(found)),
        }
    }
    match (error, null) {
        (Some(error), _) => Err(error),
        (None, true) => Ok(Datum::Null),
        (None, false) => Ok(neutral),
    }
}

fn coalesce<'a>(args: &'a [Node], env: &Env<'_, 'a>) -> Evaluated<'a> {
    for arg in args {
        let value = eval(arg, env)?;
        if !value.is_null() {
            return Ok(value);
        }
    }
    Ok(Datum::Null)
}

fn call_many<'a>(many: &'a Many, env: &Env<'_, 'a>) -> Evaluated<'a> {
    let mut values: SmallVec<[Datum<'a>; 6]> = SmallVec::new();
    for arg in &many.args {
        values.push(eval(arg, env)?);
    }
    if many.strict && values.iter().any(Datum::is_null) {
        return Ok(Datum::Null);
    }
    (many.func)(&values, &many.info, env.arena)
}
