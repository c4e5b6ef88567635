//! Which events count: a condition in the Common Expression Language.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use cel::common::types::{CelBool, CelDouble, CelInt, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Value};

use super::expression::{self, Expression, MAX_BYTES, MAX_DEPTH};
use super::fields::{Fields, Raw};
use super::reading;
use crate::config::{EventConfig, EventFormat};

/// Why a filter is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It is too long.
    #[error("{0} bytes; a filter has at most {MAX_BYTES}")]
    TooLong(usize),
    /// It does not parse.
    #[error("line {line}, column {column} of the expression: {why}")]
    Syntax {
        /// From 1.
        line: isize,
        /// From 1.
        column: isize,
        /// What the parser says, on one line.
        why: String,
    },
    /// Too much is in one another.
    #[error(
        "more than {MAX_DEPTH} expressions are in one another, a + b + c + … among them; say it in a list, as in `Tag in [\"a\", \"b\"]`"
    )]
    TooDeep,
    /// It asks for what lines do not have.
    #[error("{0} is not among event.names")]
    Name(String),
    /// There is no thread to parse it.
    #[error("it cannot be looked at: {0}")]
    Thread(String),
    /// It calls what there is not.
    #[error("there is no function {0}()")]
    Function(String),
}

/// A condition on events.
pub(super) struct Filter {
    expression: Expression,
    csv: bool,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("variables", &self.expression.variables).finish_non_exhaustive()
    }
}

impl Filter {
    pub(super) fn compile(text: &str, config: &EventConfig) -> Result<Self, FilterError> {
        let expression = expression::compile(text)?;
        let csv = config.format == EventFormat::Csv;
        // An object need not have all fields; a line has.
        if csv && let Some(other) = expression.variables.iter().find(|name| !config.names.contains(name)) {
            return Err(FilterError::Name(spec::shown::name(other)));
        }
        Ok(Self { expression, csv })
    }

    /// The fields that it asks for.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.expression.variables.iter().map(String::as_str)
    }

    /// Whether it is true of an event.
    ///
    /// # Errors
    /// What is wrong, where it is neither true nor false.
    pub(super) fn is_true(&self, fields: &Fields, raws: &[Raw<'_>]) -> Result<bool, String> {
        let event = OfEvent { fields, raws, csv: self.csv, nested: OnceLock::new() };
        let mut context = Context::with_env(Arc::clone(&self.expression.env));
        context.set_variable_resolver(&event);
        match self.expression.program.execute(&context) {
            Ok(Value::Bool(is)) => Ok(is),
            Ok(other) => Err(format!("it gives no truth value, but a {}", other.type_of())),
            Err(error) => Err(match event.too_long() {
                Some(name) => {
                    format!("{} is a list or an object of more than {MAX_NESTED} bytes", spec::shown::name(name))
                }
                None => one_line(&error.to_string()),
            }),
        }
    }
}

/// What cel says, cut, and on one line.
pub(super) fn one_line(text: &str) -> String {
    const MOST: usize = 120;
    let line = text.lines().next().unwrap_or_default();
    let cut = line.char_indices().nth(MOST).map_or(line, |(at, _)| line.get(..at).unwrap_or_default());
    spec::shown::visible(cut).into_owned()
}

/// The fields of an event as variables. Keys are texts, the value is a number, whatever they are written as.
struct OfEvent<'a> {
    fields: &'a Fields,
    raws: &'a [Raw<'a>],
    csv: bool,
    /// Lists and objects that were asked for, by their fields: each is read once, however often it is asked for.
    nested: OnceLock<Box<[Nested]>>,
}

/// A list or an object, once it was asked for; none where it cannot be read.
type Nested = OnceLock<Option<Box<dyn Val>>>;

/// A longer list or object is as if it were not there: an expression may go through one for each element of another.
const MAX_NESTED: usize = 16 << 10;

impl OfEvent<'_> {
    fn nested(&self, field: usize, json: &str) -> Option<&dyn Val> {
        let cells = self.nested.get_or_init(|| self.raws.iter().map(|_| OnceLock::new()).collect());
        let read = || {
            let json = Some(json).filter(|json| json.len() <= MAX_NESTED)?;
            let json: serde_json::Value = serde_json::from_str(json).ok()?;
            cel::to_value(json).ok()?.try_into().ok()
        };
        cells.get(field)?.get_or_init(read).as_deref()
    }

    /// The first field that is a list or an object that is too long.
    fn too_long(&self) -> Option<&str> {
        let is_long = |raw: &Raw<'_>| matches!(raw, Raw::Nested(json) if json.len() > MAX_NESTED);
        self.raws.iter().position(is_long).map(|field| self.fields.name(field))
    }
}

impl VariableResolver for OfEvent<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let field = self.fields.find(variable.as_bytes(), 0)?;
        let raw = *self.raws.get(field)?;
        if field == Fields::VALUE {
            return Some(CowVal::owned(CelDouble::from(reading::number(raw)?)));
        }
        if self.fields.is_key(field) || self.csv {
            return text(raw);
        }
        match raw {
            Raw::Absent => None,
            Raw::Text(_) | Raw::Escaped(_) => text(raw),
            Raw::Bool(is) => Some(CowVal::owned(CelBool::from(is))),
            Raw::Null => Some(CowVal::owned(CelNull)),
            Raw::Number(digits) => match digits.parse::<i64>() {
                Ok(whole) => Some(CowVal::owned(CelInt::from(whole))),
                Err(_) => reading::number(raw).map(|number| CowVal::owned(CelDouble::from(number))),
            },
            Raw::Nested(json) => self.nested(field, json).map(CowVal::Borrowed),
        }
    }
}

fn text(raw: Raw<'_>) -> Option<CowVal<'_, '_>> {
    match raw.text()? {
        Cow::Borrowed(text) => Some(CowVal::owned(CelString::from(std::str::from_utf8(text).ok()?.trim_ascii()))),
        Cow::Owned(text) => {
            Some(CowVal::owned(CelString::from(std::str::from_utf8(&text).ok()?.trim_ascii().to_owned())))
        }
    }
}
