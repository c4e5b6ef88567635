//! A program of the user's own that scores in place of the built-in scorer.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::WorkError;
use crate::template::key;
use crate::work::Predictions;

/// What every name starts with that a command finds a sensor's key under.
pub const KEY_PREFIX: &str = "SCORING_KEY_";
/// The names, besides those of keys, under which a command finds what it is asked to do.
pub const ENV: [&str; 10] = [
    "SCORING_MODEL",
    "SCORING_INPUT",
    "SCORING_OUTPUT",
    "SCORING_ITEMS",
    "SCORING_WINDOW_START",
    "SCORING_WINDOW_END",
    "SCORING_TICK",
    "SCORING_RUN",
    "SCORING_SCHEDULE",
    "SCORING_NAMESPACE",
];
/// The most words of `command`, and of `args`.
pub const MAX_WORDS: usize = 256;
/// The most bytes of a word.
pub const MAX_WORD: usize = 32 * 1024;

/// Variables of one sensor, besides its keys.
const OF_SENSOR: [&str; 3] = ["model", "input", "output"];
/// The variable of a command that is run once for all sensors of an item.
const ITEMS: &str = "items";
const WINDOW: [&str; 2] = ["window.start", "window.end"];

/// A command that is run for each sensor, or once for all sensors of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Command {
    /// The program, and its first arguments.
    pub command: Vec<String>,
    /// Further arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Whether it is run once for all sensors of an item.
    #[serde(default)]
    pub per_item: bool,
    /// What it finds as its input.
    #[serde(default)]
    pub input: CommandInput,
    /// How long one run of it may take, in seconds; absent: as long as the run may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
}

/// What `command` finds at `SCORING_INPUT`: `Rows` (default), a CSV of the sensor's readings in the window with time, keys
/// and values; or `Files`, a folder with the files of `data.path` as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CommandInput {
    /// A CSV of the sensor's readings in the window: time, keys and values, with a header.
    #[default]
    Rows,
    /// A folder with the files of `data.path` as they are.
    Files,
}

/// Whether a command is given its own value under this name.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    ENV.contains(&name) || name.starts_with(KEY_PREFIX)
}

/// The name under which a command finds the value of a sensor's key.
#[must_use]
pub fn key_variable(key: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    KEY_PREFIX.chars().chain(key.chars().map(letter)).collect()
}

impl Command {
    /// That of a schedule's fields; without `command` there is none.
    #[must_use]
    pub fn of(
        command: Option<Vec<String>>,
        args: Option<Vec<String>>,
        per_item: Option<bool>,
        input: Option<CommandInput>,
        timeout_seconds: Option<u32>,
    ) -> Option<Self> {
        let (args, per_item, input) = (args.unwrap_or_default(), per_item.unwrap_or(false), input.unwrap_or_default());
        command.map(|command| Self { command, args, per_item, input, timeout_seconds })
    }

    /// The words of the command and of its arguments, with the variables in braces filled in: `value` knows them.
    ///
    /// # Errors
    /// When a word has a variable that is not known, or a brace without its partner.
    pub fn words(&self, value: impl Fn(&str) -> Option<String>) -> Result<Vec<String>, WorkError> {
        let command = self.command.iter().map(|word| ("scorer.command", word));
        let args = self.args.iter().map(|word| ("scorer.args", word));
        command.chain(args).map(|(field, word)| fill(word, &value).map_err(|why| wrong(field, &why))).collect()
    }

    /// Checks what the types alone do not say. `keys`: those of the sensors.
    pub(crate) fn check(
        &self,
        keys: &BTreeSet<String>,
        has_window: bool,
        predictions: &Predictions,
    ) -> Result<(), WorkError> {
        for (field, words) in [("scorer.command", &self.command), ("scorer.args", &self.args)] {
            if words.len() > MAX_WORDS || words.iter().any(|word| word.len() > MAX_WORD) {
                return Err(wrong(
                    field,
                    &format!("has more than {MAX_WORDS} words, or one of more than {MAX_WORD} bytes"),
                ));
            }
            if words.iter().any(|word| word.contains('\0')) {
                return Err(wrong(field, "has a NUL character, which no argument can have; take it out"));
            }
        }
        if self.command.first().is_none_or(String::is_empty) {
            return Err(wrong("scorer.command", "names no program; write it as [python, predict.py]"));
        }
        let mut names = BTreeSet::new();
        if let Some(key) = keys.iter().find(|key| !names.insert(key_variable(key))) {
            let why = format!("the key {key} and another are both told as {}; rename one of them", key_variable(key));
            return Err(wrong("scorer.command", &why));
        }
        let is_known = |name: &str| {
            let of_sensor = OF_SENSOR.contains(&name) || keys.contains(name);
            let known = if self.per_item { name == ITEMS } else { of_sensor };
            known || (has_window && WINDOW.contains(&name))
        };
        let mut used = BTreeSet::new();
        for (field, words) in [("scorer.command", &self.command), ("scorer.args", &self.args)] {
            for word in words {
                let named = pieces(word).map_err(|why| wrong(field, &why))?;
                for name in named.into_iter().filter_map(Piece::name) {
                    if !is_known(name) {
                        return Err(wrong(field, &self.unknown(name, word, keys, has_window)));
                    }
                    used.insert(name);
                }
            }
        }
        if let Some(name) = OF_SENSOR.iter().find(|name| used.contains(**name) && keys.contains(**name)) {
            let why = format!(
                "{{{name}}} may be the key {name} of the sensors, or the path of the {name}; rename the key, or read the \
                 environment: {} and SCORING_{}",
                key_variable(name),
                name.to_uppercase()
            );
            return Err(wrong("scorer.args", &why));
        }
        if predictions.layout.is_shared() {
            return Err(WorkError {
                field: "predictions.layout",
                reason: "InvalidPredictions",
                message: format!(
                    "{:?} puts the predictions of several sensors into one file, which the scorer cannot do with what a \
                     command of yours writes; use PerSensor",
                    predictions.layout
                ),
            });
        }
        Ok(())
    }

    fn unknown(&self, name: &str, word: &str, keys: &BTreeSet<String>, has_window: bool) -> String {
        if WINDOW.contains(&name) && !has_window {
            return format!(
                "{word:?} has {{{name}}}, but every row is scored: give the schedule a window, or take it out"
            );
        }
        let window = if has_window { &WINDOW[..] } else { &[] };
        let keys = keys.iter().map(String::as_str);
        let known: Vec<&str> = match self.per_item {
            true => std::iter::once(ITEMS).chain(window.iter().copied()).collect(),
            false => keys.chain(OF_SENSOR).chain(window.iter().copied()).collect(),
        };
        let hint = match self.per_item {
            true => " (with perItem, what belongs to one sensor is in the file that {items} names)",
            false => "",
        };
        let known: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
        format!(
            "{word:?} has {{{name}}}, which is no variable; there are {}{hint}. Write {{{{ and }}}} for braces",
            known.join(", ")
        )
    }
}

fn wrong(field: &'static str, message: &str) -> WorkError {
    WorkError { field, reason: "InvalidCommand", message: message.to_owned() }
}

/// A part of a word.
enum Piece<'a> {
    Text(&'a str),
    Variable(&'a str),
}

impl<'a> Piece<'a> {
    fn name(self) -> Option<&'a str> {
        if let Self::Variable(name) = self { Some(name) } else { None }
    }
}

/// A word's parts, in order. `{{` and `}}` stand for braces.
fn pieces(word: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = word;
    while !rest.is_empty() {
        let at = rest.find(['{', '}']).unwrap_or(rest.len());
        let (text, after) = rest.split_at(at);
        if at > 0 {
            pieces.push(Piece::Text(text));
        }
        rest = after;
        if rest.starts_with("{{") || rest.starts_with("}}") {
            pieces.push(Piece::Text(&rest[..1]));
            rest = &rest[2..];
        } else if let Some(inside) = rest.strip_prefix('{') {
            let (name, after) = inside
                .split_once('}')
                .filter(|(name, _)| !name.contains('{'))
                .ok_or_else(|| format!("{word:?} has a brace without its partner; write {{{{ and }}}} for braces"))?;
            if key(name, word).is_err() && !WINDOW.contains(&name) {
                return Err(format!("{word:?} has {{{name}}}, which is no variable; write {{{{ and }}}} for braces"));
            }
            pieces.push(Piece::Variable(name));
            rest = after;
        } else if rest.starts_with('}') {
            return Err(format!("{word:?} has a brace without its partner; write {{{{ and }}}} for braces"));
        }
    }
    Ok(pieces)
}

fn fill(word: &str, value: &impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::with_capacity(word.len());
    for piece in pieces(word)? {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Variable(name) => {
                let value = value(name);
                filled.push_str(&value.ok_or_else(|| format!("{word:?} has {{{name}}}, which has no value"))?);
            }
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
