//! A broker by itself.

use std::path::Path;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use local_aks::kafka::{Issuer, Kafka, Settings};
use local_aks::pki::Authority;
use local_aks::{Options, Progress};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// As that of Event Hubs, with what means something to Java.
const PASSWORD: &str = "Endpoint=sb://plant/;SharedAccessKeyName=all;SharedAccessKey=\"a\\b=\"";

pub(crate) async fn broker(folder: &Path) -> Result<Kafka> {
    let root = Options::default().root;
    Kafka::start(&Settings::new(&folder.join("kafka"), &root), &Progress::lines()).await
}

/// Sends so many records to the first partition, with Kafka's own producer.
async fn send(broker: &Kafka, topic: &str, records: usize) -> Result<()> {
    let mut producer = broker.tool("org.apache.kafka.tools.ConsoleProducer")?;
    producer.args(["--bootstrap-server", &broker.bootstrap(), "--topic", topic]);
    producer.args(["--command-property", "acks=all"]);
    let mut producer = producer.stdin(Stdio::piped()).spawn()?;
    let lines: String = (0..records).map(|n| format!("reading {n}\n")).collect();
    producer.stdin.take().context("it has an input")?.write_all(lines.as_bytes()).await?;
    let status = producer.wait().await?;
    ensure!(status.success(), "the producer failed: {status}");
    Ok(())
}

pub(crate) async fn comes_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = broker(folder.path()).await?;
    server.create_topic("readings", 1, &[("retention.ms", "-1")]).await?;
    send(&server, "readings", 10).await?;
    let all = server.offsets("readings", 0).await?;
    ensure!(all == (0..10), "{all:?}");
    let address = server.bootstrap();
    server.kill().await?;
    ensure!(TcpStream::connect(&address).await.is_err(), "it listens though it was killed");
    server.restart().await?;
    let kept = server.offsets("readings", 0).await?;
    ensure!(kept == (0..10), "killed, it has {kept:?}");
    server.add_partitions("readings", 3).await?;
    server.delete_records("readings", 0, 4).await?;
    server.stop().await?;
    ensure!(TcpStream::connect(&address).await.is_err(), "it listens though it was stopped");
    server.restart().await?;
    ensure!(server.bootstrap() == address, "its address changed");
    ensure!(server.partitions("readings").await? == Some(3), "the new partitions are lost");
    let kept = server.offsets("readings", 0).await?;
    ensure!(kept == (4..10), "stopped, it has {kept:?}");
    let last = server.pid().context("it runs")?;
    drop(server);
    ensure!(!super::left::lives(last), "it runs though it was dropped");
    ensure!(TcpStream::connect(&address).await.is_err(), "it listens though it was dropped");
    let another = broker(folder.path()).await?;
    let kept = another.offsets("readings", 0).await?;
    ensure!(kept == (4..10), "at other ports, it has {kept:?}");
    Ok(())
}

/// Asks for all topics with Kafka's own client, over TLS, with further settings of its.
async fn list(broker: &Kafka, authority: &Authority, file: &Path, settings: &str) -> Result<Output> {
    let trusted = authority.certificate();
    let tls = "security.protocol=SASL_SSL\nssl.truststore.type=PEM\nssl.truststore.location";
    std::fs::write(file, format!("{tls}={}\n{settings}\n", trusted.display()))?;
    let address = broker.sasl_bootstrap().context("it listens for passwords")?;
    let mut tool = broker.tool("org.apache.kafka.tools.TopicCommand")?;
    tool.args(["--list", "--bootstrap-server", &address, "--command-config"]).arg(file);
    tool.env("JAVA_TOOL_OPTIONS", format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={}", token(file)));
    Ok(tool.stdin(Stdio::null()).output().await?)
}

/// The token's URL, beside a file.
fn token(file: &Path) -> String {
    format!("file://{}", file.with_extension("token").display())
}

fn with_password(password: &str) -> String {
    // Backslashes mean something to the file, and these and quotation marks to what is in it.
    let quoted = password.replace('\\', "\\\\").replace('"', "\\\"").replace('\\', "\\\\");
    format!(
        "sasl.mechanism=PLAIN\nsasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
         username=\"$ConnectionString\" password=\"{quoted}\";"
    )
}

/// With the token in the file beside.
fn with_token(file: &Path) -> String {
    let classes = "org.apache.kafka.common.security.oauthbearer";
    format!(
        "sasl.mechanism=OAUTHBEARER\nsasl.jaas.config={classes}.OAuthBearerLoginModule required;\n\
         sasl.login.callback.handler.class={classes}.OAuthBearerLoginCallbackHandler\n\
         sasl.oauthbearer.token.endpoint.url={}",
        token(file)
    )
}

/// What a client was told that was turned away.
fn refusal(output: Output) -> Result<String> {
    ensure!(!output.status.success(), "it came in: {output:?}");
    Ok(String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned())
}

pub(crate) async fn password() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = Options::default().root;
    let authority = Authority::alone(&folder.path().join("pki"))?;
    let data = folder.path().join("kafka");
    let settings = Settings::new(&data, &root).with_password(&authority, PASSWORD);
    let server = Kafka::start(&settings, &Progress::lines()).await?;
    server.create_topic("readings", 1, &[]).await?;
    let file = folder.path().join("client.properties");
    let good = list(&server, &authority, &file, &with_password(PASSWORD)).await?;
    ensure!(good.status.success() && good.stdout == b"readings\n", "{good:?}");
    let told = refusal(list(&server, &authority, &file, &with_password("wrong")).await?)?;
    ensure!(told.contains("Invalid username or password"), "{told}");
    let log = std::fs::read_to_string(server.log())?;
    ensure!(!log.contains("SharedAccessKeyName"), "the log has the password");
    Ok(())
}

pub(crate) async fn tokens() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = Options::default().root;
    let authority = Authority::alone(&folder.path().join("pki"))?;
    let (name, audience) = ("https://sts.windows.net/tenant/", "https://plant.servicebus.windows.net");
    let issuer = Issuer::new(name, audience)?;
    let data = folder.path().join("kafka");
    let settings = Settings::new(&data, &root).with_password(&authority, PASSWORD).with_tokens(&issuer);
    let server = Kafka::start(&settings, &Progress::lines()).await?;
    server.create_topic("readings", 1, &[]).await?;
    let file = folder.path().join("client.properties");
    let come = async |issuer: &Issuer| {
        let now = Timestamp::now();
        let token = issuer.token("scorer", now, now + SignedDuration::from_hours(1))?;
        std::fs::write(file.with_extension("token"), token)?;
        list(&server, &authority, &file, &with_token(&file)).await
    };
    let good = come(&issuer).await?;
    ensure!(good.status.success() && good.stdout == b"readings\n", "{good:?}");
    let plain = list(&server, &authority, &file, &with_password(PASSWORD)).await?;
    ensure!(plain.status.success(), "{plain:?}");
    let another = Issuer::new(name, audience)?;
    let told = refusal(come(&another).await?).context("a token with another key")?;
    ensure!(told.contains("invalid_token"), "another key: {told}");
    let elsewhere = issuer.for_audience("https://other.servicebus.windows.net");
    let told = refusal(come(&elsewhere).await?).context("a token for others")?;
    ensure!(told.contains("invalid_token"), "another audience: {told}");
    Ok(())
}

pub(crate) async fn refusals() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = Options::default().root;
    let data = folder.path().join("kafka");
    let settings = Settings { host: "127.0.0.2", ..Settings::new(&data, &root) };
    let server = Kafka::start(&settings, &Progress::lines()).await?;
    ensure!(server.bootstrap().starts_with("127.0.0.2:"), "{}", server.bootstrap());
    ensure!(server.sasl_bootstrap().is_none(), "it has no certificate");
    ensure!(server.partitions("readings").await?.is_none(), "there is none yet, and looking makes none");
    server.create_topic("readings", 2, &[]).await?;
    for (refused, why) in [
        (server.create_topic("readings", 1, &[]).await, "TOPIC_ALREADY_EXISTS (36): Topic 'readings' already exists."),
        (server.create_topic("x", 1, &[("no.such", "1")]).await, "INVALID_CONFIG (40): "),
        (server.add_partitions("readings", 2).await, "INVALID_PARTITIONS (37): "),
        (
            server.delete_records("readings", 0, 1).await,
            "readings/0 before 1: OFFSET_OUT_OF_RANGE (1): there is no such",
        ),
        (server.offsets("nothing", 0).await.map(drop), "nothing/0: UNKNOWN_TOPIC_OR_PARTITION (3)"),
    ] {
        let told = refused.err().with_context(|| format!("it takes what is wrong: {why}"))?.to_string();
        ensure!(told.contains(why), "{told}");
    }
    Ok(())
}
