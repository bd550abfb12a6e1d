//! Requests and replies of both protocols, encoded and decoded in batches of one socket read.

use criterion::{Criterion, Throughput};
use ostler_core::types::{
    AclEntry, Create, CreateVariant, Op, Perms, Read, Reply, Request, Stat, Xid, Zxid,
};
use ostler_core::wire::{Codec, ReplyKind};
use std::hint::black_box;

const BATCH: usize = 64;
const CODECS: [(&str, Codec); 2] = [("jute", Codec::Jute), ("native", Codec::Native)];
const DATA: [u8; 100] = [7; 100];

fn kinds() -> [(&'static str, Request<'static>); 3] {
    let path = "/app/config/key-000123";
    let acl = vec![AclEntry { perms: Perms::ALL, scheme: "world", id: "anyone" }];
    let variant = CreateVariant::Plain;
    let create = Create { path, data: Some(&DATA), acl, flags: 0, ttl_ms: 0, variant };
    [
        ("get", Request::Read(Read::Data { path, watch: false })),
        ("set", Request::Write(Op::SetData { path, data: Some(&DATA), version: -1 })),
        ("create", Request::Write(Op::Create(create))),
    ]
}

/// Bodies of the frames in a buffer.
fn bodies(codec: Codec, mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((prefix, rest)) = bytes.split_first_chunk::<4>() {
        let length = codec.frame_length(*prefix).expect("we wrote it");
        let (body, rest) = rest.split_at(length);
        found.push(body);
        bytes = rest;
    }
    found
}

pub(super) fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/requests");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (protocol, codec) in CODECS {
        for (name, request) in kinds() {
            let batch: Vec<_> = (1..=BATCH as i32).map(|xid| (Xid(xid), &request)).collect();
            let mut out = Vec::new();
            group.bench_function(format!("{protocol}/{name}/encode"), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    codec.encode_requests(black_box(&batch), &mut out);
                });
            });
            let frames = bodies(codec, &out);
            group.bench_function(format!("{protocol}/{name}/decode"), |bencher| {
                let mut requests = Vec::new();
                bencher.iter(|| {
                    requests.clear();
                    for body in &frames {
                        codec.decode_requests(black_box(body), &mut requests).expect("we wrote it");
                    }
                    assert_eq!(requests.len(), BATCH);
                });
            });
        }
    }
    group.finish();
}

pub(super) fn replies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/replies");
    group.throughput(Throughput::Elements(BATCH as u64));
    let reply = Reply::Data(Some(&DATA), Stat { data_length: 100, ..Stat::default() });
    for (protocol, codec) in CODECS {
        let mut out = Vec::new();
        group.bench_function(format!("{protocol}/data/encode"), |bencher| {
            bencher.iter(|| {
                out.clear();
                for xid in 1..=BATCH as i32 {
                    codec.encode_reply(Xid(xid), Zxid(9), black_box(&reply), &mut out);
                }
            });
        });
        let frames = bodies(codec, &out);
        group.bench_function(format!("{protocol}/data/decode"), |bencher| {
            bencher.iter(|| {
                for body in &frames {
                    let (header, record) =
                        codec.decode_reply_header(black_box(body)).expect("we wrote it");
                    let reply = codec.decode_reply(ReplyKind::Data, header, record);
                    black_box(reply.expect("we wrote it"));
                }
            });
        });
    }
    group.finish();
}
