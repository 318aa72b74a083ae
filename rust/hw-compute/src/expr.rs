//! What this crate uses of `hw-expr`, and keys over encoded rows.

pub use hw_expr::error::EvalError;
pub use hw_expr::mfp::{Mfp, MfpPlan, Scratch, Validity, emptied};
pub use hw_expr::scalar::{ErrorFields, Expr, PlanError, ScalarExpr};

use hw_expr::kernel::{self, Kernel};
use hw_types::row;

/// The SQLSTATE of multiplicities below zero: data_exception.
pub const INVALID_DATA: &str = "22000";

/// Whether evaluating `expr` may raise.
pub fn can_fail(expr: &ScalarExpr) -> bool {
    match expr {
        ScalarExpr::Column { .. } | ScalarExpr::Literal { .. } => false,
        ScalarExpr::If { cond, then, els } => can_fail(cond) || can_fail(then) || can_fail(els),
        ScalarExpr::Call { func, args, .. } => {
            let total = matches!(
                kernel::resolve(func),
                Some(
                    Kernel::Compare(_)
                        | Kernel::And
                        | Kernel::Or
                        | Kernel::Coalesce
                        | Kernel::IsNull
                        | Kernel::Identity
                )
            );
            !total || args.iter().any(can_fail)
        }
        _ => true,
    }
}

/// Whether evaluating `mfp` may raise.
pub fn mfp_can_fail(mfp: &Mfp) -> bool {
    mfp.is_temporal()
        || mfp.expressions.iter().any(can_fail)
        || mfp.predicates.iter().any(|predicate| can_fail(&predicate.expr))
}

/// Expressions over an encoded row, whose values are appended to a key.
#[derive(Debug)]
pub struct KeyPlan {
    exprs: Vec<Expr>,
    /// The columns, where all expressions are plain columns: their bytes are copied undecoded.
    columns: Option<Vec<usize>>,
}

impl KeyPlan {
    /// Compiles the expressions.
    pub fn new(exprs: &[ScalarExpr]) -> Result<Self, PlanError> {
        let exprs = exprs.iter().map(ScalarExpr::compile).collect::<Result<Vec<Expr>, PlanError>>()?;
        let columns = exprs.iter().map(Expr::as_column).collect();
        Ok(KeyPlan { exprs, columns })
    }
    /// The columns, where the expressions are nothing else.
    pub fn columns(&self) -> Option<&[usize]> {
        self.columns.as_deref()
    }
    /// Appends the values over `row`.
    pub fn evaluate(&self, row: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<(), EvalError> {
        if self.exprs.is_empty() {
            return Ok(());
        }
        let mut columns = scratch.take();
        row::unpack(row, scratch.arena(), &mut columns);
        let result = self.exprs.iter().try_for_each(|expr| {
            row::push_datum(out, expr.eval(&columns, scratch.arena())?);
            Ok(())
        });
        scratch.put(emptied(columns));
        result
    }
}

/// An error's row.
pub fn error_row(fields: &ErrorFields) -> Vec<u8> {
    EvalError::raise(&fields.sqlstate, fields.message.clone()).to_row()
}
