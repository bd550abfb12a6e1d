//! Commands on whole subtrees, made of many requests: what changes meanwhile is met with grace.

use super::failure::{About, Failure};
use crate::client::{Client, ClientError, ErrorCode, Multi, MultiError};
use std::collections::VecDeque;

/// Hands every path of a subtree to `each`, level by level, names in order.
///
/// # Errors
/// If the root does not exist or some list cannot be read; what was found before was handed out.
pub(crate) async fn list(
    client: &Client,
    root: &str,
    each: &mut dyn FnMut(&str),
) -> Result<(), Failure> {
    let mut waiting = VecDeque::from([root.to_owned()]);
    while let Some(path) = waiting.pop_front() {
        let mut names = match client.children(&path).await {
            Ok((names, _)) => names,
            // Deleted since its parent was listed.
            Err(error) if path != root && is_missing(&error) => continue,
            Err(error) => return Err(error).about(&path),
        };
        if path == root {
            each(root);
        }
        names.sort();
        for name in names {
            let child = join(&path, &name);
            each(&child);
            waiting.push_back(child);
        }
    }
    Ok(())
}

/// All paths of a subtree, its root first, every parent before its children.
pub(crate) async fn subtree(client: &Client, root: &str) -> Result<Vec<String>, Failure> {
    let mut paths = Vec::new();
    list(client, root, &mut |path| paths.push(path.to_owned())).await?;
    Ok(paths)
}

/// Deletes a subtree from its leaves upward, `batch` znodes at a time.
pub(crate) async fn delete_all(client: &Client, root: &str, batch: usize) -> Result<(), Failure> {
    let mut paths = subtree(client, root).await?;
    paths.reverse();
    for batch in paths.chunks(batch) {
        let multi = batch.iter().fold(Multi::new(), |multi, path| multi.delete(path, -1));
        match client.multi(multi).await {
            Ok(_) => {}
            // Someone deletes beside us: what is gone is as good as deleted by us.
            Err(MultiError::Refused { error, .. }) if is_missing(&error) => {
                delete_each(client, batch).await?;
            }
            Err(error) => return Err(error).about(root),
        }
    }
    Ok(())
}

async fn delete_each(client: &Client, paths: &[String]) -> Result<(), Failure> {
    for path in paths {
        match client.delete(path, -1).await {
            Err(error) if !is_missing(&error) => return Err(error).about(path),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn is_missing(error: &ClientError) -> bool {
    error.code() == Some(ErrorCode::NoNode)
}

/// A child's path.
pub(crate) fn join(parent: &str, name: &str) -> String {
    match parent {
        "/" => format!("/{name}"),
        parent => format!("{parent}/{name}"),
    }
}
