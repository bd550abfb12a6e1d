//! Answers and events, written by the server.

use super::opcode;
use super::write::Writer;
use crate::types::{
    Acl, AuthId, ErrorCode, NameList, Outcome, ReadReply, Reply, Stat, WatchEvent, Xid, Zxid,
};
use crate::wire::shown_user;
use alloc::vec::Vec;

/// Appends the whole frame of an answer.
pub(in crate::wire) fn encode_reply(xid: Xid, zxid: Zxid, reply: &Reply<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::frame(out);
    header(&mut writer, xid, zxid, reply.refusal().map_or(0, ErrorCode::code));
    body(&mut writer, reply);
    writer.finish();
}

/// Appends the whole frame of a watch event.
pub(in crate::wire) fn encode_event(event: &WatchEvent, out: &mut Vec<u8>) {
    let mut writer = Writer::frame(out);
    header(&mut writer, Xid::EVENT, event.zxid.unwrap_or(Zxid::from_wire(-1)), 0);
    writer.int(event.event as i32);
    writer.int(opcode::STATE_CONNECTED);
    writer.string(&event.path);
    writer.finish();
}

fn header(writer: &mut Writer<'_>, xid: Xid, zxid: Zxid, error: i32) {
    writer.int(xid.0);
    writer.long(zxid.to_wire());
    writer.int(error);
}

fn body(writer: &mut Writer<'_>, reply: &Reply<'_>) {
    match reply {
        Reply::Error(_) | Reply::Done => {}
        Reply::Outcome(outcome) => outcome_body(writer, outcome),
        Reply::Stat(stat) => writer.stat(stat),
        Reply::Data(bytes, stat) => data(writer, *bytes, stat),
        Reply::Acl(acl, stat) => {
            writer.acl(acl.iter().map(Acl::as_entry));
            writer.stat(stat);
        }
        Reply::Children(names, stat) => children(writer, *names, stat.as_ref()),
        Reply::Paths(paths) => writer.strings(paths.iter().map(|path| path.as_str())),
        Reply::Count(count) => writer.int(*count),
        Reply::Path(path) => writer.string(path),
        Reply::WatchAdded => writer.int(0),
        Reply::Identities(ids) => identities(writer, ids),
        Reply::Reads(results) => reads(writer, results),
        Reply::Token(token) => writer.buffer(*token),
    }
}

fn outcome_body(writer: &mut Writer<'_>, outcome: &Outcome) {
    match outcome {
        Outcome::Created { path, stat } => created(writer, path, stat.as_ref()),
        Outcome::DataSet(stat) | Outcome::AclSet(stat) => writer.stat(stat),
        Outcome::Multi(results) => {
            for result in results {
                multi_result(writer, result);
            }
            end_of_multi(writer);
        }
        Outcome::Deleted
        | Outcome::Checked
        | Outcome::SessionCreated { .. }
        | Outcome::SessionClosed
        | Outcome::Failed(_)
        | Outcome::RolledBack => {}
    }
}

fn multi_result(writer: &mut Writer<'_>, result: &Outcome) {
    let code = match result {
        Outcome::Created { stat: None, .. } => opcode::CREATE,
        Outcome::Created { stat: Some(_), .. } => opcode::CREATE2,
        Outcome::Deleted => opcode::DELETE,
        Outcome::DataSet(_) => opcode::SET_DATA,
        Outcome::Checked => opcode::CHECK,
        Outcome::Failed(error) => return error_result(writer, error.code()),
        Outcome::RolledBack => return error_result(writer, 0),
        // No multi holds these, see `Op::Multi`.
        Outcome::AclSet(_)
        | Outcome::Multi(_)
        | Outcome::SessionCreated { .. }
        | Outcome::SessionClosed => {
            return error_result(writer, ErrorCode::SystemError.code());
        }
    };
    writer.multi_header(code, false, 0);
    outcome_body(writer, result);
}

fn reads(writer: &mut Writer<'_>, results: &[ReadReply<'_>]) {
    for result in results {
        match result {
            ReadReply::Error(error) => error_result(writer, error.code()),
            ReadReply::Data(bytes, stat) => {
                writer.multi_header(opcode::GET_DATA, false, 0);
                data(writer, *bytes, stat);
            }
            ReadReply::Children(names) => {
                writer.multi_header(opcode::GET_CHILDREN, false, 0);
                children(writer, *names, None);
            }
        }
    }
    end_of_multi(writer);
}

/// The code stands in the header and again in the record.
fn error_result(writer: &mut Writer<'_>, code: i32) {
    writer.multi_header(opcode::ERROR, false, code);
    writer.int(code);
}

fn end_of_multi(writer: &mut Writer<'_>) {
    writer.multi_header(opcode::ERROR, true, -1);
}

fn created(writer: &mut Writer<'_>, path: &str, stat: Option<&Stat>) {
    writer.string(path);
    if let Some(stat) = stat {
        writer.stat(stat);
    }
}

fn data(writer: &mut Writer<'_>, data: Option<&[u8]>, stat: &Stat) {
    writer.buffer(data);
    writer.stat(stat);
}

fn children(writer: &mut Writer<'_>, names: &dyn NameList, stat: Option<&Stat>) {
    writer.count(names.count());
    names.each(&mut |name| writer.string(name));
    if let Some(stat) = stat {
        writer.stat(stat);
    }
}

fn identities(writer: &mut Writer<'_>, ids: &[AuthId]) {
    writer.count(ids.len());
    for id in ids {
        writer.string(&id.scheme);
        writer.string(shown_user(id));
    }
}
