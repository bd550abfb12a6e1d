//! What has to be there before a run, and taking it away after: through one connection, in batches.

use super::crew::{ASIDE, Crew};
use super::names::Names;
use super::orders::{Made, create, value};
use super::{LoadError, Operation, Plan, Workload};
use ostler_core::types::{ErrorCode, Op, Request};
use std::time::Duration;

/// Requests in flight; a multiple keeps a server busy, more would only fill buffers.
const BATCH: usize = 256;
/// Removals in flight. There may be millions of them, and each batch is awaited before the next;
/// ZooKeeper stops reading where a thousand are outstanding.
const REMOVALS: usize = 960;
/// Bytes of data in flight.
const BATCH_BYTES: usize = 128 << 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes the root, the parents, and what the workload reads.
pub(super) fn set_up(plan: &Plan, names: &Names) -> Result<(), LoadError> {
    let mut crew = Crew::open(plan, std::iter::once(0))?;
    // Each parent before its children: order holds within a connection.
    all(&mut crew, Act::Make(None), std::iter::once(names.root().to_owned()))?;
    all(&mut crew, Act::Make(None), names.parents(plan.connections as u64).into_iter())?;
    let data = value(plan);
    all(&mut crew, Act::Make(Some(&data)), keys(plan, names))?;
    all(&mut crew, Act::Make(None), listed(plan, names))?;
    crew.close();
    Ok(())
}

/// Removes all of it, and what each track has made and not removed.
pub(super) fn clean_up(plan: &Plan, names: &Names, made: &[Made]) -> Result<(), LoadError> {
    let mut crew = Crew::open(plan, std::iter::once(0))?;
    let tracks = (0..).zip(made).flat_map(|(track, Made { made, removed })| {
        (*removed..*made).map(move |number| {
            let mut path = String::new();
            names.write_made(track, number, &mut path);
            path
        })
    });
    all(&mut crew, Act::Remove, tracks)?;
    all(&mut crew, Act::Remove, keys(plan, names))?;
    all(&mut crew, Act::Remove, listed(plan, names))?;
    let parents = names.parents(plan.connections as u64);
    // Backwards: children before their parents.
    all(&mut crew, Act::Remove, parents.into_iter().rev())?;
    all(&mut crew, Act::Remove, std::iter::once(names.root().to_owned()))?;
    crew.close();
    Ok(())
}

fn keys<'a>(plan: &Plan, names: &'a Names) -> impl Iterator<Item = String> + use<'a> {
    let count = match &plan.workload {
        Workload::Mix(mix) => {
            let wanted = [Operation::Get, Operation::Exists, Operation::Set];
            if wanted.iter().any(|operation| mix.has(*operation)) { plan.keys } else { 0 }
        }
        Workload::Watches(count) => count.div_ceil(plan.connections as u64).max(1),
        Workload::Fill(_) | Workload::Sessions | Workload::Idle | Workload::Returning => 0,
    };
    (0..count).map(|number| {
        let mut path = String::new();
        names.write_key(number, &mut path);
        path
    })
}

fn listed<'a>(plan: &Plan, names: &'a Names) -> impl Iterator<Item = String> + use<'a> {
    let wanted = matches!(&plan.workload, Workload::Mix(mix) if mix.has(Operation::List));
    (0..if wanted { plan.listed } else { 0 }).map(|number| names.listed(number))
}

/// What to do with many paths.
#[derive(Clone, Copy)]
enum Act<'d> {
    Make(Option<&'d [u8]>),
    Remove,
}

impl Act<'_> {
    fn request<'a>(&'a self, path: &'a str) -> Request<'a> {
        match self {
            Self::Make(data) => Request::Write(create(path, *data)),
            Self::Remove => Request::Write(Op::Delete { path, version: -1 }),
        }
    }

    /// A create of the load may have failed, then there is nothing to remove.
    fn accepts(&self, code: i32) -> bool {
        match self {
            Self::Make(_) => code == 0,
            Self::Remove => code == 0 || code == ErrorCode::NoNode.code(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Make(_) => "a create",
            Self::Remove => "a delete",
        }
    }

    fn batch(&self) -> usize {
        match self {
            Self::Make(Some(data)) => (BATCH_BYTES / data.len().max(1)).clamp(1, BATCH),
            Self::Make(None) => BATCH,
            Self::Remove => REMOVALS,
        }
    }
}

fn all(
    crew: &mut Crew<'_>,
    act: Act<'_>,
    mut paths: impl Iterator<Item = String>,
) -> Result<(), LoadError> {
    loop {
        let batch: Vec<_> = paths.by_ref().take(act.batch()).collect();
        if batch.is_empty() {
            return Ok(());
        }
        let requests: Vec<_> = batch.iter().map(|path| (act.request(path), ASIDE, 0)).collect();
        crew.link(0).ask(&requests);
        let mut refused = None;
        crew.settle(PATIENCE, act.name(), |_, _, code| {
            if !act.accepts(code) {
                refused = Some(code);
            }
        })?;
        if let Some(code) = refused {
            let place = crew.plan.servers[0].to_string();
            return Err(LoadError::Refused { place, what: act.name().to_owned(), code });
        }
    }
}
