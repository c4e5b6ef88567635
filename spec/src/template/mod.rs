//! Paths with a sensor's keys in braces: `models/model_{device}_{tag}`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::SensorKeys;

use matching::Search;

mod matching;

/// A path in the store in which `{name}` stands for the value of a sensor's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    Key(String),
}

/// Why a text is not a [`Template`], or why one cannot be filled in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TemplateError {
    /// A brace without its partner.
    #[error("{0:?} has a brace without its partner; write a key as {{device}}")]
    Brace(String),
    /// A key's name is empty or has other characters than a-z, 0-9 and `_`.
    #[error("{{{key}}} in {template:?} is not a key; use a-z, 0-9 and _ only, a letter first")]
    Key {
        /// The text in braces.
        key: String,
        /// The whole template.
        template: String,
    },
    /// Two keys with nothing between them: a match would be ambiguous.
    #[error("{0:?} has two keys with nothing between them; put a character such as _ or / there")]
    Adjacent(String),
    /// The path is empty, absolute, or has an empty, `.` or `..` segment.
    #[error(
        "{0:?} is not a path inside the store; write it as folder/file, without leading /, empty segments, . or .."
    )]
    Path(String),
    /// The sensor lacks a key of the template, or its value is no part of a path.
    #[error(
        "sensor {sensor} has no usable value for {{{key}}}: a value must not be empty, hold / or \\ (nor *, {{ or }} in a path of \
         many files), or be . or .."
    )]
    Value {
        /// The key.
        key: String,
        /// The sensor.
        sensor: String,
    },
}

impl Template {
    /// The names of its keys.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<&str> {
        self.parts.iter().filter_map(|p| if let Part::Key(k) = p { Some(k.as_str()) } else { None }).collect()
    }

    /// The text before the first key: what a listing can start from.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// The path of one sensor.
    ///
    /// # Errors
    /// When the sensor lacks a key, or a value would leave its path segment.
    pub fn render(&self, sensor: &SensorKeys) -> Result<String, TemplateError> {
        let mut path = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Key(key) => match sensor.get(key) {
                    Some(value) if is_segment(value) => path.push_str(value),
                    _ => return Err(TemplateError::Value { key: key.clone(), sensor: sensor.to_string() }),
                },
            }
        }
        if is_path(&path) { Ok(path) } else { Err(TemplateError::Path(path)) }
    }

    /// The sensor of a path, when the path is one that [`Template::render`] gives. A key that stands twice must have
    /// one value; the shortest values win, left to right.
    #[must_use]
    pub fn matches(&self, path: &str) -> Option<SensorKeys> {
        Search::new(&self.parts, path).sensor()
    }

    /// Whether a path that does not match would, if a key could have any value: `.`, `..`, or with `\` and control
    /// characters.
    #[must_use]
    pub fn resembles(&self, path: &str) -> bool {
        Search::new(&self.parts, path).loose().sensor().is_some()
    }
}

/// Whether a text can stand between two slashes of a path.
pub(crate) fn is_segment(value: &str) -> bool {
    !value.is_empty() && !is_dots(value) && value.chars().all(may_stand_in_segment)
}

fn may_stand_in_segment(c: char) -> bool {
    !matches!(c, '/' | '\\') && !c.is_control()
}

/// Whether a text names a folder by its place: this one or the one above.
fn is_dots(value: &str) -> bool {
    matches!(value, "." | "..")
}

pub(crate) fn is_path(path: &str) -> bool {
    path.split('/').all(is_segment)
}

/// A part of a text with names in braces.
pub(crate) enum Piece<'a> {
    Text(&'a str),
    /// What is between two braces.
    Braces(&'a str),
}

/// A text's parts, in order.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let open = rest.find(['{', '}']).unwrap_or(rest.len());
        if open > 0 {
            pieces.push(Piece::Text(&rest[..open]));
            rest = &rest[open..];
            continue;
        }
        let close = rest.strip_prefix('{').and_then(|r| r.find(['{', '}'])).map(|at| at + 1);
        let close = close.filter(|at| rest[*at..].starts_with('}'));
        let close = close.ok_or_else(|| TemplateError::Brace(text.to_owned()))?;
        pieces.push(Piece::Braces(&rest[1..close]));
        rest = &rest[close + 1..];
    }
    Ok(pieces)
}

/// The name of a key in a template.
pub(crate) fn key(name: &str, template: &str) -> Result<String, TemplateError> {
    let mut chars = name.chars();
    if !chars.next().is_some_and(|c| c.is_ascii_lowercase())
        || !chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    {
        return Err(TemplateError::Key { key: name.to_owned(), template: template.to_owned() });
    }
    Ok(name.to_owned())
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        for piece in pieces(text)? {
            match piece {
                Piece::Text(literal) => parts.push(Part::Text(literal.to_owned())),
                Piece::Braces(_) if matches!(parts.last(), Some(Part::Key(_))) => {
                    return Err(TemplateError::Adjacent(text.to_owned()));
                }
                Piece::Braces(name) => parts.push(Part::Key(key(name, text)?)),
            }
        }
        let template = Self { parts };
        let probe: String =
            template.parts.iter().map(|p| if let Part::Text(t) = p { t.as_str() } else { "x" }).collect();
        if is_path(&probe) { Ok(template) } else { Err(TemplateError::Path(text.to_owned())) }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Key(key) => write!(f, "{{{key}}}"),
        })
    }
}

crate::as_text!(Template, { "type": "string", "minLength": 1, "maxLength": 1024 });

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sensor(device: &str, tag: &str) -> SensorKeys {
        [("device", device), ("tag", tag)].into_iter().collect()
    }

    #[test]
    fn a_template_names_each_sensors_file() {
        let template: Template = "models/model_{device}_{tag}".parse().unwrap();
        assert_eq!(template.prefix(), "models/model_");
        assert_eq!(template.render(&sensor("1", "5")).unwrap(), "models/model_1_5");
        assert_eq!(template.matches("models/model_1_5"), Some(sensor("1", "5")));
        assert_eq!(template.matches("models/model_1"), None);
        assert_eq!(template.matches("models/other_1_5"), None);
    }

    #[test]
    fn a_suffix_is_matched_at_the_end() {
        let template: Template = "m/{device}.pkl".parse().unwrap();
        assert_eq!(template.matches("m/a.pkl.pkl").unwrap().get("device"), Some("a.pkl"));
        assert_eq!(template.matches("m/.pkl"), None);
    }

    #[test]
    fn what_cannot_be_a_path_is_refused() {
        for text in ["", "/a", "a//b", "../a", "a/{device", "a/}", "{a}{b}", "a/{Device}", "a/{}", "a/{1}"] {
            assert!(text.parse::<Template>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_value_cannot_leave_its_segment() {
        let template: Template = "models/{device}/{tag}".parse().unwrap();
        for value in ["", "..", "a/b", "a\\b", "."] {
            assert!(template.render(&sensor(value, "1")).is_err(), "{value:?}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_found_wherever_its_value_ends() {
        let template: Template = "{device}0{device}".parse().unwrap();
        assert_eq!(template.matches("100001000").unwrap().get("device"), Some("1000"));
        let template: Template = "{device}/{device}_{tag}".parse().unwrap();
        assert_eq!(template.matches("a_b/a_b_c"), Some(sensor("a_b", "c")));
        assert_eq!(template.matches("a_b/a_c_c"), None);
    }

    #[test]
    fn a_value_of_dots_goes_on_to_the_next_text() {
        let template: Template = "{device}.{tag}".parse().unwrap();
        assert_eq!(template.matches("..x.y"), Some(sensor("..x", "y")));
    }

    #[test]
    fn a_path_as_ambiguous_as_can_be_is_refused_soon() {
        let names: Vec<String> = (0..16).map(|key| format!("{{k{key}}}")).collect();
        let template: Template = format!("{}!", names.join("_")).parse().unwrap();
        assert_eq!(template.matches(&"_".repeat(512)), None);
    }

    #[test]
    fn a_path_resembles_a_template_where_only_its_values_are_wrong() {
        let template: Template = "models/m_{device}.pkl".parse().unwrap();
        for path in ["models/m_...pkl", "models/m_a\\b.pkl", "models/m_a\tb.pkl"] {
            assert!(template.matches(path).is_none() && template.resembles(path), "{path}");
        }
        for path in ["models/m_.pkl", "models/m_a/b.pkl", "models/n_a.pkl"] {
            assert!(!template.resembles(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn every_rendered_path_has_a_sensor_that_renders_it(
            form in prop::sample::select(vec!["{a}0{a}", "{a}.{b}", "m/{a}_{b}_{a}", "{a}_{b}-{a}_{b}", "{a}/{b}/{a}0{b}.pkl"]),
            a in "[0_.-]{1,6}", b in "[0_.-]{1,6}",
        ) {
            let template: Template = form.parse().unwrap();
            let sensor: SensorKeys = [("a", a.as_str()), ("b", b.as_str())].into_iter().collect();
            if let Ok(path) = template.render(&sensor) {
                let found = template.matches(&path).map(|found| template.render(&found));
                prop_assert_eq!(found, Some(Ok(path)));
            }
        }

        #[test]
        fn a_rendered_path_matches_back_to_its_sensor(device in "[a-zA-Z0-9é.-]{1,8}", tag in "[a-z0-9]{1,8}") {
            prop_assume!(is_segment(&device));
            let template: Template = "models/model_{device}_{tag}.pkl".parse().unwrap();
            let path = template.render(&sensor(&device, &tag)).unwrap();
            prop_assert_eq!(template.matches(&path), Some(sensor(&device, &tag)));
        }

        #[test]
        fn any_text_parses_or_is_refused_without_panic(text in "\\PC{0,40}", path in "\\PC{0,40}") {
            if let Ok(template) = text.parse::<Template>() {
                prop_assert_eq!(template.to_string(), text);
                let _ = template.matches(&path);
            }
        }
    }
}
