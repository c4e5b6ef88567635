//! Expressions of the Common Expression Language, checked before any event is held against them.

use std::collections::BTreeSet;
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Env, Program};

use super::filter::FilterError;

/// An expression has no more bytes: it is looked at for each event.
pub(super) const MAX_BYTES: usize = 4096;
/// What is in one another. Evaluation recurses, on the stack of a task.
pub(super) const MAX_DEPTH: usize = 48;
/// What the parser may take for an expression of so many brackets.
const STACK: usize = 256 << 20;

/// An expression that may be evaluated.
pub(super) struct Expression {
    pub(super) program: Program,
    pub(super) env: Arc<Env>,
    /// The names that it has for what is outside of it: fields, and those of types.
    pub(super) variables: BTreeSet<String>,
}

/// Reads an expression.
pub(super) fn compile(text: &str) -> Result<Expression, FilterError> {
    if text.len() > MAX_BYTES {
        return Err(FilterError::TooLong(text.len()));
    }
    // The parser recurses before it looks how deep it is.
    let owned = text.to_owned();
    let parser = std::thread::Builder::new().name("filter".to_owned()).stack_size(STACK);
    let parsing = parser.spawn(move || parse(&owned)).map_err(|error| FilterError::Thread(error.to_string()))?;
    let gave_up = || FilterError::Syntax { line: 1, column: 1, why: "the parser gave up".to_owned() };
    parsing.join().unwrap_or_else(|_| Err(gave_up()))
}

fn parse(text: &str) -> Result<Expression, FilterError> {
    let env = Arc::new(Env::stdlib());
    let program = env.compile(text).map_err(|errors| {
        let error = errors.errors.first();
        let (line, column) = error.map_or((1, 1), |error| error.pos);
        let why = error.map_or("it is no expression", |error| error.msg.as_str());
        FilterError::Syntax { line, column, why: super::filter::one_line(why) }
    })?;
    let mut names = Names::default();
    if names.depth(program.expression()) > MAX_DEPTH {
        return Err(FilterError::TooDeep);
    }
    // Only what the language has cannot be declared.
    let mut known = Context::with_env(Arc::clone(&env));
    if let Some(unknown) = names.functions.iter().find(|name| known.add_function(name, |x: i64| x).is_ok()) {
        return Err(FilterError::Function(spec::shown::name(unknown)));
    }
    let is_type = |name: &str| env.types().find_type(name).is_some();
    let variables = names.outside.into_iter().filter(|name| !is_type(name)).collect();
    Ok(Expression { program, env, variables })
}

/// The names in an expression.
#[derive(Default)]
struct Names {
    /// Those that macros such as `exists` have given to what they go through, here.
    inside: Vec<String>,
    outside: BTreeSet<String>,
    functions: BTreeSet<String>,
}

impl Names {
    /// Notes the names, and tells how many expressions are in one another.
    fn depth(&mut self, expression: &IdedExpr) -> usize {
        let below = match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => 0,
            Expr::Ident(name) => {
                if !name.starts_with('@') && !self.inside.contains(name) {
                    self.outside.insert(name.clone());
                }
                0
            }
            Expr::Call(call) => {
                // Operators are functions called `_+_` and the like.
                if call.func_name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    self.functions.insert(call.func_name.clone());
                }
                self.deepest(call.target.as_deref().into_iter().chain(&call.args))
            }
            Expr::Comprehension(all) => {
                let outside = self.deepest([&all.iter_range, &all.accu_init]);
                let before = self.inside.len();
                self.inside.extend([&all.iter_var, &all.accu_var].into_iter().chain(&all.iter_var2).cloned());
                let inside = self.deepest([&all.loop_cond, &all.loop_step, &all.result]);
                self.inside.truncate(before);
                outside.max(inside)
            }
            Expr::List(list) => self.deepest(&list.elements),
            Expr::Select(select) => self.depth(&select.operand),
            Expr::Map(map) => self.deepest(map.entries.iter().flat_map(|entry| parts(&entry.expr))),
            Expr::Struct(made) => self.deepest(made.entries.iter().flat_map(|entry| parts(&entry.expr))),
        };
        below + 1
    }

    fn deepest<'e>(&mut self, expressions: impl IntoIterator<Item = &'e IdedExpr>) -> usize {
        expressions.into_iter().map(|expression| self.depth(expression)).max().unwrap_or(0)
    }
}

fn parts(entry: &EntryExpr) -> impl Iterator<Item = &IdedExpr> {
    let (key, value) = match entry {
        EntryExpr::StructField(field) => (None, &field.value),
        EntryExpr::MapEntry(entry) => (Some(&entry.key), &entry.value),
    };
    key.into_iter().chain([value])
}
