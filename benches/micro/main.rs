//! Micro benches of core, one module an area: `cargo bench --bench micro [-- FILTER]`. They tell
//! where time goes between two versions of one function; `ostler bench` tells what a server does.

mod codec;
mod log;
mod tree;
mod watch;

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn short() -> Criterion {
    let (warm_up, measured) = (Duration::from_millis(500), Duration::from_secs(2));
    Criterion::default().warm_up_time(warm_up).measurement_time(measured).sample_size(30)
}

criterion_group! {
    name = micro;
    config = short();
    targets = codec::requests, codec::replies, tree::apply, tree::read, tree::snapshot, log::append,
        watch::fire
}
criterion_main!(micro);
