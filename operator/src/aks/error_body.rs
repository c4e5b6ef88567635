//! Azure's description of an error: codes within codes.

use serde_json::Value;

/// How deep details are read.
const DEPTH: usize = 8;
/// How many codes are kept.
const MOST: usize = 20;

/// What Azure says of an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// Its code and those within it, the outermost first.
    pub codes: Vec<String>,
    /// Its message.
    pub message: String,
}

impl ErrorBody {
    /// Reads it. Azure writes `{"error": {…}}`; AKS at times only the inner part, and what a service below it said as text:
    /// `Code="AllocationFailed" Message="…"`.
    #[must_use]
    pub fn read(body: &Value) -> Self {
        let error = body.get("error").unwrap_or(body);
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut codes = Vec::new();
        gather(error, DEPTH, &mut codes);
        Self { codes, message }
    }
}

fn gather(error: &Value, depth: usize, codes: &mut Vec<String>) {
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    let mut add = |code: &str| {
        if !code.is_empty() && codes.len() < MOST && !codes.iter().any(|known| known == code) {
            codes.push(code.to_owned());
        }
    };
    text("code").into_iter().for_each(&mut add);
    text("message").into_iter().flat_map(quoted).for_each(&mut add);
    if depth > 0 {
        let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
        details.chain(error.get("innererror")).for_each(|inner| gather(inner, depth - 1, codes));
    }
}

/// The codes in a text: `Code="AllocationFailed" Message="…"`, `SubCode: QuotaExceeded;`, or JSON, whose quotes may be escaped.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    text.match_indices(['e', 'E']).filter_map(move |(at, _)| {
        let word = text.get(at.checked_sub(3)?..=at)?;
        let rest = text.get(at + 1..)?;
        let value = rest.trim_start_matches(['\\', '"', ' ', ':', '=']);
        let between = rest.get(..rest.len() - value.len())?;
        let is_code = word.eq_ignore_ascii_case("code") && between.contains([':', '=']);
        let end = value.find(|c| !is_part(c)).unwrap_or(value.len());
        value.get(..end.min(80)).filter(|_| is_code)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn codes(body: &Value) -> Vec<String> {
        ErrorBody::read(body).codes
    }

    #[test]
    fn codes_are_found_wherever_azure_puts_them() {
        let wrapped = "Code=\"AllocationFailed\" Message=\"Allocation failed. Code=\\\"Inner\\\" \"";
        assert_eq!(
            codes(&json!({"error": {"code": "ReconcileFailed", "message": wrapped}})),
            ["ReconcileFailed", "AllocationFailed", "Inner"]
        );
        let details =
            json!({"code": "Failed", "details": [{"code": "NodesNotReady"}, {"innererror": {"code": "Deep"}}]});
        assert_eq!(codes(&details), ["Failed", "NodesNotReady", "Deep"]);
    }

    #[test]
    fn codes_are_found_in_texts_of_several_kinds() {
        let texts =
            ["SubCode: QuotaExceeded; ...", r#"{"code": "Inner"}"#, r#"{\"code\":\"Deep\"}"#, "ERROR CODE: Upper"];
        let of = texts.map(|text| codes(&json!({"code": "Failed", "message": text})).pop().unwrap());
        assert_eq!(of, ["QuotaExceeded", "Inner", "Deep", "Upper"]);
        assert_eq!(codes(&json!({"message": "the code that failed"})), [""; 0]);
    }

    #[test]
    fn whatever_the_body_is_little_is_made_of_it() {
        for body in [json!(null), json!([1]), json!("Code="), json!({"error": 3}), json!({"message": "Code="})] {
            assert_eq!(codes(&body), [""; 0], "{body}");
        }
        let mut deep = json!({"code": "x"});
        for at in 0..100 {
            deep = json!({"code": at.to_string(), "details": [deep]});
        }
        assert_eq!(codes(&deep).len(), DEPTH + 1);
        let long = json!({"message": "Code=\"é".repeat(100)});
        assert_eq!(codes(&long), [""; 0]);
    }
}
