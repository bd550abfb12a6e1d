//! A request, written by the client.

use super::opcode;
use super::write::Writer;
use crate::types::{Create, CreateVariant, Op, Read, Request, WatchMode, WatchOp, Xid};
use alloc::vec::Vec;

/// Appends the whole frame. What only a server can make (`Op::Fail`, `Op::Reap`,
/// `Op::CreateSession`, `Request::Malformed`, `Request::Unknown`) is sent as the operation "error",
/// which every server refuses.
pub(in crate::wire) fn encode_request(xid: Xid, request: &Request<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::frame(out);
    writer.int(xid.0);
    writer.int(code_of(request));
    record(&mut writer, request);
    writer.finish();
}

fn code_of(request: &Request<'_>) -> i32 {
    match request {
        Request::Write(op) => op_code(op),
        Request::Read(read) => read_code(read),
        Request::Watch(op) => watch_code(op),
        Request::Sync(_) => opcode::SYNC,
        Request::Ping => opcode::PING,
        Request::Auth { .. } => opcode::AUTH,
        Request::WhoAmI => opcode::WHO_AM_I,
        Request::Sasl(_) => opcode::SASL,
        Request::Reconfig => opcode::RECONFIG,
        Request::CloseSession => opcode::CLOSE_SESSION,
        Request::Malformed | Request::Unknown => opcode::ERROR,
    }
}

fn op_code(op: &Op<'_>) -> i32 {
    match op {
        Op::Create(create) => match create.variant {
            CreateVariant::Plain => opcode::CREATE,
            CreateVariant::WithStat => opcode::CREATE2,
            CreateVariant::Container => opcode::CREATE_CONTAINER,
            CreateVariant::Ttl => opcode::CREATE_TTL,
        },
        Op::Delete { .. } => opcode::DELETE,
        Op::SetData { .. } => opcode::SET_DATA,
        Op::SetAcl { .. } => opcode::SET_ACL,
        Op::Check { .. } => opcode::CHECK,
        Op::Multi(_) => opcode::MULTI,
        Op::CloseSession { .. } => opcode::CLOSE_SESSION,
        Op::Reap { .. } | Op::Configure { .. } | Op::CreateSession { .. } | Op::Fail(_) => {
            opcode::ERROR
        }
    }
}

fn read_code(read: &Read<'_>) -> i32 {
    match read {
        Read::Exists { .. } => opcode::EXISTS,
        Read::Data { .. } => opcode::GET_DATA,
        Read::Acl { .. } => opcode::GET_ACL,
        Read::Children { with_stat: false, .. } => opcode::GET_CHILDREN,
        Read::Children { with_stat: true, .. } => opcode::GET_CHILDREN2,
        Read::Ephemerals { .. } => opcode::GET_EPHEMERALS,
        Read::DescendantCount { .. } => opcode::GET_ALL_CHILDREN_NUMBER,
        Read::Multi(_) => opcode::MULTI_READ,
    }
}

/// setWatches where it will do: servers before 3.6 know no other.
fn watch_code(op: &WatchOp<'_>) -> i32 {
    match op {
        WatchOp::Add { .. } => opcode::ADD_WATCH,
        WatchOp::Remove { .. } => opcode::REMOVE_WATCHES,
        WatchOp::Check { .. } => opcode::CHECK_WATCHES,
        WatchOp::Set { persistent, persistent_recursive, broken_off, .. } => {
            if persistent.is_empty() && persistent_recursive.is_empty() && !broken_off {
                opcode::SET_WATCHES
            } else {
                opcode::SET_WATCHES2
            }
        }
    }
}

fn record(writer: &mut Writer<'_>, request: &Request<'_>) {
    match request {
        Request::Write(op) => op_record(writer, op),
        Request::Read(read) => read_record(writer, read),
        Request::Watch(op) => watch_record(writer, op),
        Request::Sync(path) => writer.string(path),
        Request::Auth { scheme, auth } => {
            writer.int(0);
            writer.string(scheme);
            writer.buffer(Some(auth));
        }
        Request::Sasl(token) => writer.buffer(Some(token)),
        Request::Reconfig => {
            for _ in 0..3 {
                writer.buffer(None);
            }
            writer.long(-1);
        }
        Request::Ping
        | Request::WhoAmI
        | Request::CloseSession
        | Request::Malformed
        | Request::Unknown => {}
    }
}

fn op_record(writer: &mut Writer<'_>, op: &Op<'_>) {
    match op {
        Op::Create(create) => create_record(writer, create),
        Op::Delete { path, version } | Op::Check { path, version } => {
            writer.string(path);
            writer.int(*version);
        }
        Op::SetData { path, data, version } => {
            writer.string(path);
            writer.buffer(*data);
            writer.int(*version);
        }
        Op::SetAcl { path, acl, version } => {
            writer.string(path);
            writer.acl(acl.iter().copied());
            writer.int(*version);
        }
        Op::Multi(ops) => {
            for op in ops {
                writer.multi_header(op_code(op), false, -1);
                op_record(writer, op);
            }
            writer.multi_header(opcode::ERROR, true, -1);
        }
        Op::CloseSession { .. }
        | Op::Reap { .. }
        | Op::Configure { .. }
        | Op::CreateSession { .. }
        | Op::Fail(_) => {}
    }
}

fn create_record(writer: &mut Writer<'_>, create: &Create<'_>) {
    writer.string(create.path);
    writer.buffer(create.data);
    writer.acl(create.acl.iter().copied());
    writer.int(create.flags);
    if create.variant == CreateVariant::Ttl {
        writer.long(create.ttl_ms);
    }
}

fn read_record(writer: &mut Writer<'_>, read: &Read<'_>) {
    match read {
        Read::Exists { path, watch }
        | Read::Data { path, watch }
        | Read::Children { path, watch, .. } => {
            writer.string(path);
            writer.bool(*watch);
        }
        Read::Acl { path } | Read::DescendantCount { path } => writer.string(path),
        Read::Ephemerals { prefix } => writer.string(prefix),
        Read::Multi(reads) => {
            for read in reads {
                writer.multi_header(read_code(read), false, -1);
                read_record(writer, read);
            }
            writer.multi_header(opcode::ERROR, true, -1);
        }
    }
}

fn watch_record(writer: &mut Writer<'_>, op: &WatchOp<'_>) {
    match op {
        WatchOp::Add { path, mode } => {
            writer.string(path);
            writer.int(match mode {
                WatchMode::Persistent => 0,
                WatchMode::PersistentRecursive => 1,
            });
        }
        WatchOp::Remove { path, kind } | WatchOp::Check { path, kind } => {
            writer.string(path);
            writer.int(*kind as i32);
        }
        WatchOp::Set {
            relative_zxid,
            data,
            exist,
            child,
            persistent,
            persistent_recursive,
            broken_off,
        } => {
            writer.long(*relative_zxid);
            for paths in [data, exist, child] {
                writer.strings(paths.iter().copied());
            }
            if watch_code(op) == opcode::SET_WATCHES2 {
                writer.strings(persistent.iter().copied());
                if *broken_off {
                    writer.buffer(None);
                } else {
                    writer.strings(persistent_recursive.iter().copied());
                }
            }
        }
    }
}
