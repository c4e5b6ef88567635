//! What the broker reads: `server.properties`.

use std::fmt::Write;
use std::path::Path;

use anyhow::ensure;
use url::Url;

use super::tokens::Issuer;

/// Who comes with a password: the one name that Event Hubs knows.
pub(super) const USER: &str = "$ConnectionString";

const SASL: &str = "listener.name.sasl_ssl";

/// As to topics of its own: one partition, one copy. As to groups: whoever comes first waits for nobody.
const SETTINGS: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.streams.initial.rebalance.delay.ms=0
# For so long one that was killed is taken to be alive, and kept out: nine seconds by default.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
# A quarter of the heap by default.
log.cleaner.dedupe.buffer.size=8388608
";

/// Where the broker listens.
#[derive(Clone, Debug)]
pub(super) struct Listeners {
    pub(super) host: String,
    pub(super) plaintext: u16,
    pub(super) sasl: Option<u16>,
    /// On loopback.
    pub(super) controller: u16,
}

impl Listeners {
    fn of_clients(&self) -> String {
        let host = &self.host;
        let sasl = self.sasl.map(|port| format!(",SASL_SSL://{host}:{port}")).unwrap_or_default();
        format!("PLAINTEXT://{host}:{}{sasl}", self.plaintext)
    }
}

/// The lines of every broker.
pub(super) fn common(listeners: &Listeners, data: &Path) -> anyhow::Result<String> {
    let (clients, controller) = (listeners.of_clients(), listeners.controller);
    let mut lines = SETTINGS.to_owned();
    writeln!(lines, "listeners={clients},CONTROLLER://127.0.0.1:{controller}")?;
    writeln!(lines, "advertised.listeners={clients}")?;
    writeln!(lines, "controller.quorum.voters=1@127.0.0.1:{controller}")?;
    writeln!(lines, "log.dirs={}", escaped(&data.display().to_string()))?;
    Ok(lines)
}

/// The lines for tokens. `keys` is where the issuer's public keys are.
pub(super) fn tokens(issuer: &Issuer, keys: &Url) -> anyhow::Result<String> {
    const CLASSES: &str = "org.apache.kafka.common.security.oauthbearer";
    let mut lines = String::new();
    let of = format!("{SASL}.oauthbearer.sasl");
    writeln!(lines, "{of}.jaas.config={CLASSES}.OAuthBearerLoginModule required;")?;
    writeln!(lines, "{of}.server.callback.handler.class={CLASSES}.OAuthBearerValidatorCallbackHandler")?;
    writeln!(lines, "sasl.oauthbearer.jwks.endpoint.url={}", escaped(keys.as_str()))?;
    writeln!(lines, "sasl.oauthbearer.expected.audience={}", escaped(issuer.audience()))?;
    writeln!(lines, "sasl.oauthbearer.expected.issuer={}", escaped(issuer.name()))?;
    Ok(lines)
}

/// The lines for TLS and passwords. `pair` is a file with key and certificate, PEM.
pub(super) fn sasl(pair: &Path, password: &str, with_tokens: bool) -> anyhow::Result<String> {
    ensure!(!password.chars().any(char::is_control), "Kafka's password has a control character");
    // As Java reads it: a string in quotation marks, in a value of a file of properties.
    let quoted = password.replace('\\', "\\\\").replace('"', "\\\"");
    let login = format!("org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{quoted}\";");
    let mut lines = String::new();
    writeln!(lines, "{SASL}.sasl.enabled.mechanisms=PLAIN{}", if with_tokens { ",OAUTHBEARER" } else { "" })?;
    writeln!(lines, "{SASL}.plain.sasl.jaas.config={}", escaped(&login))?;
    writeln!(lines, "{SASL}.ssl.keystore.type=PEM")?;
    writeln!(lines, "{SASL}.ssl.keystore.location={}", escaped(&pair.display().to_string()))?;
    Ok(lines)
}

/// A value in a file of properties.
fn escaped(value: &str) -> String {
    let mut escaped = String::new();
    let mut is_start = true;
    for unit in value.encode_utf16() {
        match u8::try_from(unit).ok() {
            Some(b'\\') => escaped.push_str("\\\\"),
            Some(b' ') if is_start => escaped.push_str("\\ "),
            Some(byte @ b' '..=b'~') => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("\\u{unit:04x}")),
        }
        is_start = false;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_comes_through_both_kinds_of_quoting() {
        let lines = sasl(Path::new("/t/pair.pem"), "Endpoint=sb://x/;Key=a\"b\\cä", false).unwrap();
        let told = "user_$ConnectionString=\"Endpoint=sb://x/;Key=a\\\\\"b\\\\\\\\c\\u00e4\";\n";
        assert!(lines.contains(told), "{lines}");
        assert!(sasl(Path::new("/t/pair.pem"), "a\nb", false).is_err());
    }

    #[test]
    fn clients_are_told_where_it_listens_and_nothing_of_the_controller() {
        let listeners = Listeners { host: "10.0.0.1".into(), plaintext: 1, sasl: Some(2), controller: 3 };
        let lines = common(&listeners, Path::new("/a b")).unwrap();
        let has = |line: &str| lines.lines().any(|other| other == line);
        assert!(has("advertised.listeners=PLAINTEXT://10.0.0.1:1,SASL_SSL://10.0.0.1:2"), "{lines}");
        let all = "listeners=PLAINTEXT://10.0.0.1:1,SASL_SSL://10.0.0.1:2,CONTROLLER://127.0.0.1:3";
        assert!(has(all), "{lines}");
        assert!(has("log.dirs=/a b"), "{lines}");
    }
}
