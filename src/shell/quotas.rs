//! Quotas: the servers enforce them, but it is the shell that lays them down as znodes, and that
//! refuses those which a server would not notice.

use super::failure::{About, Failure};
use super::output::Output;
use super::perform::Stage;
use super::quota::Limit;
use super::tree;
use crate::client::{Client, CreateOptions, ErrorCode, open_acl};
use ostler_core::types::{Quota, parent_of};

const ROOT: &str = "/zookeeper/quota";
const NOTHING_USED: &str = "count=0,bytes=0";

/// Sets one limit of a path.
pub(crate) async fn set(
    stage: &Stage,
    path: &str,
    limit: Limit,
    value: i64,
) -> Result<(), Failure> {
    let client = &stage.client;
    if path == "/" || path == "/zookeeper" || path.starts_with("/zookeeper/") {
        return Err(Failure::Refused(format!("cannot set a quota under the path: {path}")));
    }
    if client.exists(path).await.about(path)?.is_none() {
        return Err(Failure::Refused(format!("{path} does not exist.")));
    }
    if let Some(limits) = limits_of(client, path).await? {
        let changed = limit.replaced(limits, value).text();
        let limits_path = Quota::limits_path(path);
        let stored = client.set_data(&limits_path, Some(changed.as_bytes()), -1).await;
        return stored.map(drop).about(&limits_path);
    }
    refuse_overlap(client, path).await?;
    make_home(client, path).await?;
    let limits = limit.replaced(Quota::NONE, value).text();
    // The server starts to count when both exist.
    make(client, &Quota::limits_path(path), Some(&limits)).await?;
    make(client, &Quota::stats_path(path), Some(NOTHING_USED)).await
}

/// Takes one limit of a path away, or all.
pub(crate) async fn delete(stage: &Stage, path: &str, limit: Option<Limit>) -> Result<(), Failure> {
    let client = &stage.client;
    let Some(limits) = limits_of(client, path).await? else {
        return Err(Failure::Refused(format!("Quota does not exist for {path}")));
    };
    let limits_path = Quota::limits_path(path);
    if let Some(limit) = limit {
        let changed = limit.replaced(limits, -1).text();
        let stored = client.set_data(&limits_path, Some(changed.as_bytes()), -1).await;
        return stored.map(drop).about(&limits_path);
    }
    for gone in [limits_path, Quota::stats_path(path)] {
        tolerate(client.delete(&gone, -1).await, &[ErrorCode::NoNode]).about(&gone)?;
    }
    let mut emptied = Quota::home(path);
    while emptied != ROOT {
        let left = client.delete(&emptied, -1).await;
        if left.is_err() {
            // Another quota lives below it, or beside it.
            return tolerate(left, &[ErrorCode::NotEmpty, ErrorCode::NoNode]).about(&emptied);
        }
        emptied = parent_of(&emptied).unwrap_or(ROOT).to_owned();
    }
    Ok(())
}

/// Shows the limits of a path and what is used of them.
pub(crate) async fn list(stage: &Stage, path: &str) -> Result<(), Failure> {
    let client = &stage.client;
    stage.show(Output::Note(format!("absolute path is {}", Quota::limits_path(path))));
    let Some(limits) = limits_of(client, path).await? else {
        return Err(Failure::Refused(format!("quota for {path} does not exist.")));
    };
    stage.show(Output::Quota { path: path.to_owned(), limits });
    if let Some(usage) = quota_at(client, &Quota::stats_path(path)).await? {
        stage.show(Output::Usage { path: path.to_owned(), usage });
    }
    Ok(())
}

async fn limits_of(client: &Client, path: &str) -> Result<Option<Quota>, Failure> {
    quota_at(client, &Quota::limits_path(path)).await
}

async fn quota_at(client: &Client, path: &str) -> Result<Option<Quota>, Failure> {
    match client.data(path).await {
        Ok((data, _)) => Ok(Some(Quota::parse(&data.unwrap_or_default()))),
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
        Err(error) => Err(error).about(path),
    }
}

/// Servers look at the deepest quota of a path only, so quotas must not lie within each other.
async fn refuse_overlap(client: &Client, path: &str) -> Result<(), Failure> {
    let mut ancestor = parent_of(path);
    while let Some(above) = ancestor.filter(|above| *above != "/") {
        if limits_of(client, above).await?.is_some() {
            return Err(Failure::Refused(format!("{path} has a parent {above} which has a quota")));
        }
        ancestor = parent_of(above);
    }
    let home = Quota::home(path);
    if client.exists(&home).await.about(&home)?.is_none() {
        return Ok(());
    }
    let below = tree::subtree(client, &home).await?;
    match below.iter().find_map(|found| found.strip_suffix("/zookeeper_limits")) {
        Some(child) => {
            let child = child.strip_prefix(ROOT).unwrap_or(child);
            Err(Failure::Refused(format!("{path} has a child {child} which has a quota")))
        }
        None => Ok(()),
    }
}

async fn make_home(client: &Client, path: &str) -> Result<(), Failure> {
    let mut at = ROOT.to_owned();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        at = tree::join(&at, name);
        make(client, &at, None).await?;
    }
    Ok(())
}

async fn make(client: &Client, path: &str, data: Option<&str>) -> Result<(), Failure> {
    let options = CreateOptions { acl: open_acl(), ..CreateOptions::default() };
    let made = client.create(path, data.map(str::as_bytes), &options).await.map(drop);
    tolerate(made, &[ErrorCode::NodeExists]).about(path)
}

fn tolerate(
    result: Result<(), crate::client::ClientError>,
    codes: &[ErrorCode],
) -> Result<(), crate::client::ClientError> {
    match result {
        Err(error) if error.code().is_some_and(|code| codes.contains(&code)) => Ok(()),
        other => other,
    }
}
