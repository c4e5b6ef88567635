//! Texts of a manifest and of the command line that have a grammar of their own.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use planner::ticks::Ticks;
use scorer::readings::TimeParser;
use spec::sql::SqlParameter;
use spec::work::Delimiter;
use spec::{DataPath, Limit, Location, SensorKeys, Span, Template, TimeRange};
use store::PodUid;

/// A text is refused, or what it says prints as a text that says the same. The first line is the text, the rest of the
/// input what some of them are applied to.
pub fn texts(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else {
        let _ = TimeParser::default().parse(input);
        return;
    };
    let (text, other) = input.split_once('\n').unwrap_or((input, ""));
    template(text, other);
    data_path(text, other);
    printed::<Limit>(text);
    printed::<Span>(text);
    printed::<SqlParameter>(text);
    location(text);
    time(text, other);
    cron(text, other);
    sensor(text, other);
    if let Some(byte) = Delimiter(text.to_owned()).byte() {
        assert!(byte.is_ascii() && !b"\"\r\n".contains(&byte));
    }
    if let Ok(uid) = PodUid::parse(text) {
        assert!(!uid.as_str().contains(['/', '.']));
    }
}

fn printed<T>(text: &str)
where
    T: std::str::FromStr + std::fmt::Display + PartialEq + std::fmt::Debug,
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let Ok(value) = text.parse::<T>() else { return };
    assert_eq!(value.to_string().parse::<T>().ok().as_ref(), Some(&value), "{text:?} prints as {value}");
    let json = serde_json::to_string(&value).expect("it serialises");
    assert_eq!(serde_json::from_str::<T>(&json).expect("it reads back"), value);
}

fn template(text: &str, path: &str) {
    let Ok(template) = text.parse::<Template>() else { return };
    printed::<Template>(text);
    assert_eq!(template.to_string(), text);
    assert!(text.starts_with(template.prefix()));
    if let Some(sensor) = template.matches(path) {
        assert_eq!(template.render(&sensor).as_deref(), Ok(path), "{text:?} gives {sensor}");
    }
    let sensor: SensorKeys = template.keys().into_iter().map(|key| (key, path)).collect();
    if let Ok(rendered) = template.render(&sensor) {
        assert!(rendered.split('/').all(|part| !part.is_empty() && part != "." && part != ".."), "{rendered:?}");
        // Which sensor it is may be ambiguous; that it is one is not, unless a key stands twice or a value is all dots.
        let once = template.keys().len() == text.matches('{').count();
        assert!(!once || rendered.contains('.') || template.matches(&rendered).is_some(), "{text:?}: {rendered:?}");
    }
}

fn data_path(text: &str, file: &str) {
    let Ok(path) = text.parse::<DataPath>() else { return };
    printed::<DataPath>(text);
    assert_eq!(path.to_string(), text);
    let time = |text: &str| text.parse().expect("a time");
    let window = TimeRange { start: time("2018-08-28T23:30:00Z"), end: time("2018-08-29T00:30:00Z") };
    for pattern in path.files(Some(window)).into_iter().flatten() {
        assert!(pattern.matches(&pattern.to_string().replace('*', "x")), "{pattern}");
        assert!(!pattern.matches(file) || file.starts_with(pattern.prefix()), "{pattern} means {file:?}");
    }
}

/// A folder that is inside.
fn stays(prefix: &str) {
    let climbs = |part: &str| part.is_empty() || part == "." || part == "..";
    assert!(prefix.is_empty() || !prefix.split('/').any(climbs), "{prefix:?}");
}

fn location(text: &str) {
    match Location::parse(text, Some("account")) {
        Ok(Location::Folder(folder)) => assert!(folder.is_absolute()),
        Ok(Location::Account { container, prefix, .. }) => {
            assert!(container.is_none_or(|name| !name.is_empty() && !name.contains('/')));
            stays(&prefix);
        }
        Ok(Location::Bucket { bucket, prefix, .. }) => {
            assert!(!bucket.is_empty() && !bucket.contains('/'));
            stays(&prefix);
        }
        Err(error) => {
            let Some((shown, secret)) = text.split_once('?') else { return };
            let message = error.to_string();
            assert!(secret.len() < 24 || shown.contains(secret) || !message.contains(secret), "{message}");
        }
    }
}

fn time(text: &str, format: &str) {
    let parser = TimeParser::default();
    if let Some(time) = parser.parse(text.as_bytes()) {
        assert_eq!(parser.parse(time.to_string().as_bytes()), Some(time), "{text:?}");
    }
    for zone in [None, Some("Europe/Berlin")] {
        let _ = TimeParser::new(zone, None).parse(text.as_bytes());
        let _ = TimeParser::new(zone, Some(format)).parse(text.as_bytes());
    }
    let _ = TimeParser::new(Some(text), None).parse(b"2018-08-28 23:00:05");
}

fn cron(text: &str, zone: &str) {
    for zone in [None, Some("America/New_York"), Some(zone)] {
        let Ok(ticks) = Ticks::parse(text, zone, Timestamp::UNIX_EPOCH) else { continue };
        let mut at = Timestamp::UNIX_EPOCH;
        for _ in 0..3 {
            let Some(next) = ticks.after(at) else { break };
            assert!(next > at && next.to_zoned(TimeZone::UTC).second() == 0, "{text:?}: {next} after {at}");
            at = next;
        }
    }
}

fn sensor(name: &str, value: &str) {
    let sensor: SensorKeys = [(name, value)].into_iter().collect();
    let slug = sensor.slug();
    assert!(slug.contains('=') && !slug.contains(['/', '\\']) && slug.is_ascii(), "{slug}");
    printed_keys(&sensor);
}

fn printed_keys(sensor: &SensorKeys) {
    let json = serde_json::to_string(sensor).expect("it serialises");
    assert_eq!(serde_json::from_str::<SensorKeys>(&json).expect("it reads back"), *sensor);
}
