//! A database by itself.

use anyhow::{Context, Result, ensure};
use local_aks::Progress;
use local_aks::pki::Authority;
use local_aks::postgres::{Postgres, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) async fn server(folder: &std::path::Path) -> Result<Postgres> {
    let authority = Authority::alone(&folder.join("pki"))?;
    Postgres::start(&Settings::new(&folder.join("postgres"), &authority), &Progress::lines()).await
}

/// How many pieces of shared memory there are that a process has made.
pub(crate) fn memory(process: u32) -> Result<usize> {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").context("look at shared memory")?;
    let makers = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(4)?.parse::<u32>().ok());
    Ok(makers.filter(|maker| *maker == process).count())
}

pub(crate) async fn comes_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = server(folder.path()).await?;
    let first = server.pid().context("it runs")?;
    ensure!(memory(first)? == 1, "it has its piece of shared memory");
    server.create_database("plant", "scorer", "s3cret'of\"scorer").await?;
    server.sql("plant", "CREATE TABLE readings (n int PRIMARY KEY, text text)").await?;
    server.sql("plant", "INSERT INTO readings SELECT n, 'a, \"b\"' FROM generate_series(1, 1000) n").await?;
    let address = server.address();
    server.kill().await?;
    ensure!(TcpStream::connect(address).await.is_err(), "it listens though it was killed");
    ensure!(memory(first)? == 0, "killed, it left shared memory");
    server.restart().await?;
    server.sql("plant", "INSERT INTO readings VALUES (0, NULL)").await?;
    server.stop().await?;
    server.restart().await?;
    ensure!(server.address() == address, "its address changed");
    let told =
        server.sql("plant", "SELECT count(*), sum(n) FROM readings; SELECT text FROM readings WHERE n < 2 ORDER BY n");
    let told = told.await?;
    ensure!(told == "1001,500500\n\n\"a, \"\"b\"\"\"\n", "{told:?}");
    let log = std::fs::read_to_string(server.log())?;
    ensure!(log.contains("database system was not properly shut down"), "it was not killed: {log}");
    let last = server.pid().context("it runs")?;
    drop(server);
    ensure!(TcpStream::connect(address).await.is_err(), "it listens though it was dropped");
    ensure!(memory(last)? == 0, "dropped, it left shared memory");
    Ok(())
}

pub(crate) async fn rights() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path()).await?;
    server.create_database("plant", "scorer", "secret").await?;
    let make = "SET ROLE scorer; CREATE TABLE t (n int); CREATE TEMP TABLE s (n int); INSERT INTO t VALUES (1)";
    server.sql("plant", make).await?;
    server.sql("plant", "CREATE TABLE another (n int)").await?;
    for (refused, why) in [
        ("CREATE SCHEMA x", "permission denied for database plant"),
        ("SELECT * FROM another", "permission denied for table another"),
        ("CREATE ROLE x", "permission denied to create role"),
        ("CREATE DATABASE x", "permission denied to create database"),
        ("COPY t TO '/tmp/x'", "pg_write_server_files"),
    ] {
        let told = server.sql("plant", &format!("SET ROLE scorer; {refused}")).await.err();
        let told = told.with_context(|| format!("it may {refused}"))?.to_string();
        ensure!(told.contains(why), "{told}");
    }
    let others = "SELECT datname FROM pg_database
                  WHERE datallowconn AND has_database_privilege('scorer', datname, 'CONNECT')";
    let told = server.sql("postgres", others).await?;
    ensure!(told == "plant\n", "it may connect to {told}");
    Ok(())
}

pub(crate) async fn tls() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path()).await?;
    let mut stream = TcpStream::connect(server.address()).await?;
    // Version 3.0 of the protocol, a user, and no word of TLS.
    let start = b"\x00\x00\x00\x17\x00\x03\x00\x00user\x00postgres\x00\x00";
    stream.write_all(start).await?;
    let mut told = Vec::new();
    stream.read_to_end(&mut told).await?;
    let told = String::from_utf8_lossy(&told);
    ensure!(told.starts_with('E') && told.contains("no encryption"), "{told:?}");
    Ok(())
}
