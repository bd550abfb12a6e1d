//! Requests as they are sent, answered, and sent again.

use super::*;
use ostler_core::types::{Op, Request};
use ostler_core::wire::Codec;
use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

type Answer = Receiver<Result<OwnedReply, ClientError>>;

fn ask(queue: &mut Queue, bytes: usize, writes: bool) -> Answer {
    let (answer, receiver) = oneshot::channel();
    let data = vec![7; bytes];
    let op = Op::SetData { path: "/a", data: Some(&data), version: -1 };
    let request = if writes { Request::Write(op) } else { Request::WhoAmI };
    let mut frame = Vec::new();
    Codec::Native.encode_request(Xid(0), &request, &mut frame);
    let (kind, effect) = (ReplyKind::of(&request), WatchEffect::None);
    queue.push(Pending { kind, effect, answer, writes, xid: None, frame });
    receiver
}

/// The numbers of what is sent next, and what each says was heard.
fn send(queue: &mut Queue) -> Vec<(i32, Option<i32>)> {
    let mut out = Vec::new();
    queue.send(&mut out);
    let mut rest = &out[..];
    let mut sent = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let (body, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
        let mut requests = Vec::new();
        Codec::Native.decode_requests(body, &mut requests).expect("decodes");
        let heard = Codec::Native.decode_heard(body).map(|heard| heard.0);
        sent.extend(requests.iter().map(|(xid, ..)| (xid.0, heard)));
        rest = behind;
    }
    sent
}

#[test]
fn what_is_unanswered_is_sent_again_with_the_numbers_it_had() {
    let mut queue = Queue::default();
    let _answers: Vec<_> = (0..3).map(|_| ask(&mut queue, 1, true)).collect();
    assert_eq!(send(&mut queue), [(1, None), (2, None), (3, None)]);
    assert_eq!(send(&mut queue), []);
    assert!(queue.take(Xid(2)).is_none(), "it is not the one that had to come");
    assert!(queue.take(Xid(1)).is_some());
    assert!(queue.detached().is_empty());
    let _fourth = ask(&mut queue, 1, true);
    assert_eq!(send(&mut queue), [(2, Some(1)), (3, Some(1)), (4, Some(1))]);
    for xid in 2..5 {
        assert!(queue.take(Xid(xid)).is_some());
    }
    assert!(queue.is_empty());
}

#[test]
fn reads_that_could_see_too_much_are_not_asked_again() {
    let mut queue = Queue::default();
    let kinds = [false, true, false, true, false];
    let mut answers: Vec<_> = kinds.map(|writes| ask(&mut queue, 1, writes)).into();
    send(&mut queue);
    answers.push(ask(&mut queue, 1, false));
    answers.push(ask(&mut queue, 1, true));
    for lost in queue.detached() {
        drop(lost.answer.send(Err(ClientError::ConnectionLoss)));
    }
    let fates: Vec<_> = answers
        .iter_mut()
        .map(|answer| answer.try_recv() == Ok(Err(ClientError::ConnectionLoss)))
        .collect();
    assert_eq!(fates, [true, false, true, false, false, false, false]);
    let sent: Vec<_> = send(&mut queue).iter().map(|(xid, _)| *xid).collect();
    assert_eq!(sent, [2, 4, 5, 6, 7]);
    assert_eq!(answers[6].try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn no_more_is_on_its_way_than_a_server_remembers() {
    let mut queue = Queue::default();
    let _answers: Vec<_> = (0..RECALLED_WRITES_MAX + 9).map(|_| ask(&mut queue, 1, true)).collect();
    assert_eq!(send(&mut queue).len(), RECALLED_WRITES_MAX);
    queue.take(Xid(1)).expect("was sent");
    assert_eq!(send(&mut queue).len(), 1);
    let mut queue = Queue::default();
    let sizes = [2 * RESENT_BYTES_MAX, 10, RESENT_BYTES_MAX / 2, RESENT_BYTES_MAX / 2, 10];
    let _answers: Vec<_> = sizes.map(|bytes| ask(&mut queue, bytes, true)).into();
    for (number, sent) in [(1, 1), (2, 2), (3, 0), (4, 2)] {
        assert_eq!(send(&mut queue).len(), sent, "before answer {number}");
        queue.take(Xid(number)).expect("was sent");
    }
}

#[test]
fn a_session_taken_over_goes_on_with_its_numbers() {
    let mut queue = Queue::default();
    let _first = ask(&mut queue, 1, true);
    queue.attached(Xid(41));
    assert_eq!(send(&mut queue), [(42, None)]);
    queue.attached(Xid(42));
    queue.attached(Xid(0));
    let _second = ask(&mut queue, 1, true);
    assert_eq!(send(&mut queue), [(43, None)]);
    queue.attached(Xid(i32::MAX));
    let _third = ask(&mut queue, 1, true);
    assert_eq!(send(&mut queue), [(44, None)], "what is behind is no news");
}
