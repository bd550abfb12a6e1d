//! What becomes of the requests of an open connection: answered in place, submitted, confirmed or
//! refused. How much may be under way is told in `window`.

use super::*;

#[test]
fn a_frame_of_reads_and_writes_is_one_submission_behind_its_first_write() {
    let view = shown();
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let asked = [
            (1, read("/none")),
            (2, Request::WhoAmI),
            (3, write()),
            (4, read("/large")),
            (5, write()),
            (6, Request::Ping),
        ];
        let bytes = requests(codec, &asked);
        for piece in [bytes.len(), 1] {
            let out = offer(&mut connection, &view, &bytes, piece);
            let in_place = answers(codec, &out.bytes);
            assert_eq!(in_place, [(1, ErrorCode::NoNode.code()), (2, 0)]);
            let items: Vec<_> = out.submissions.iter().flat_map(|sent| &sent.items).collect();
            let numbers: Vec<_> = items.iter().map(|item| item.xid.0).collect();
            assert_eq!(numbers, [3, 4, 5, Xid::PING.0]);
            // What travels can be read again by itself, at the other end.
            let ItemBody::Travel(own) = &items[1].body else { panic!("a read travels here") };
            assert_eq!(codec.decode_request(own), Ok((Xid(4), read("/large"))));
            connection.answered(4, &mut Output::default());
        }
    }
}

/// What became of the requests of one frame: those answered in place, and how the others travel.
fn fates(connection: &mut Connection, view: &Shown, asked: &[(i32, Request<'_>)]) -> String {
    let bytes = requests(Codec::Native, asked);
    let out = offer(connection, view, &bytes, bytes.len());
    let mut fates = String::new();
    answers(Codec::Native, &out.bytes).iter().for_each(|_| fates.push('.'));
    if out.unvouched.is_some() {
        assert!(out.submissions.is_empty() && connection.keeps_reads());
        fates.push('v');
    }
    for item in out.submissions.iter().flat_map(|sent| &sent.items) {
        fates.push(match item.body {
            ItemBody::Write(_) => 'w',
            ItemBody::Travel(_) => 't',
            ItemBody::Confirm(_) => 'c',
            ItemBody::Claim(_) | ItemBody::Attach { .. } => '?',
        });
    }
    fates
}

/// One that has a session and asked for this, at a server that is alone or not.
fn confirming(view: &Shown, alone: bool, linearizable: bool) -> Connection {
    let mut connection = beside(alone);
    let mut bytes = greeting().to_vec();
    let options = HelloOptions { linearizable, ..HelloOptions::default() };
    let (last_zxid_seen, session) = (Zxid::ZERO, SessionId::NONE);
    Hello { last_zxid_seen, timeout_ms: 600, session, password: [0; 16], options }
        .encode(&mut bytes);
    offer(&mut connection, view, &bytes, bytes.len());
    connection.attached(&OPEN, &mut Output::default());
    connection
}

#[test]
fn linearizable_reads_that_come_together_share_what_vouches_for_them() {
    let view = shown();
    let watching = Request::Read(Read::Exists { path: "/none", watch: true });
    let together = [(1, Request::WhoAmI), (2, read("/large")), (3, read("/none")), (4, watching)];
    let behind_a_write = [(5, write()), (6, read("/large")), (7, Request::Sync("/"))];
    let expected = [
        // Alone, a server has in its tree what anybody was told. Having watched, a connection is
        // not answered in place before it is handed its events.
        (true, true, "...t", "wtc", "t"),
        (false, false, "...t", "wtc", "t"),
        (false, true, ".ctt", "wtc", "v"),
    ];
    for (alone, linearizable, first, second, third) in expected {
        let mut connection = confirming(&view, alone, linearizable);
        assert_eq!(fates(&mut connection, &view, &together), first, "{alone} {linearizable}");
        let under_way = connection.in_flight();
        connection.answered(under_way, &mut Output::default());
        assert_eq!(fates(&mut connection, &view, &behind_a_write), second);
        // What vouched for reads that came before says nothing of what was told since.
        let later = if linearizable && !alone { "c" } else { "t" };
        assert_eq!(fates(&mut connection, &view, &[(8, read("/large"))]), later);
        let under_way = connection.in_flight();
        connection.answered(under_way, &mut Output::default());
        assert_eq!(fates(&mut connection, &view, &[(9, read("/large"))]), third);
    }
}

/// Bytes that a room has in hand, and what became of them: kept reads stay in it.
struct Hand {
    connection: Connection,
    unread: Vec<u8>,
}

impl Hand {
    fn new(view: &Shown) -> Self {
        Self { connection: confirming(view, false, true), unread: vec![] }
    }

    /// More has come, or nothing: whether it wants to be vouched for, the numbers answered in
    /// place, and those that travel.
    fn offer(&mut self, view: &Shown, asked: &[(i32, Request<'_>)]) -> (bool, Vec<i32>, Vec<i32>) {
        self.unread.extend(requests(Codec::Native, asked));
        let mut out = Output::default();
        let consumed = self.connection.receive(&self.unread, view, &mut out);
        self.unread.drain(..consumed);
        assert!(!out.stalled, "to offer it again at once would lead to nothing");
        let here = answers(Codec::Native, &out.bytes).iter().map(|(xid, _)| *xid).collect();
        let items = out.submissions.iter().flat_map(|sent| &sent.items);
        (out.unvouched.is_some(), here, items.map(|item| item.xid.0).collect())
    }

    fn vouched(&mut self) {
        self.connection.answered(1, &mut Output::default());
    }
}

#[test]
fn reads_wait_to_be_vouched_for_and_are_answered_where_they_came() {
    let view = shown();
    let mut hand = Hand::new(&view);
    let ask = |numbers: core::ops::Range<i32>| numbers.map(|xid| (xid, read("/large")));
    let some = |numbers| ask(numbers).collect::<Vec<_>>();
    assert_eq!(hand.offer(&view, &some(1..4)), (true, vec![], vec![]));
    // What comes meanwhile may have been sent after something that the answer does not cover.
    assert_eq!(hand.offer(&view, &some(4..6)), (false, vec![], vec![]));
    assert_eq!((hand.connection.in_flight(), hand.connection.keeps_reads()), (1, true));
    assert_eq!(hand.offer(&view, &[]), (false, vec![], vec![]));
    // Events answer nothing.
    hand.connection.answered(0, &mut Output::default());
    assert_eq!(hand.offer(&view, &[]), (false, vec![], vec![]));
    hand.vouched();
    assert_eq!(hand.offer(&view, &[]), (true, vec![1, 2, 3], vec![]));
    hand.vouched();
    assert_eq!(hand.offer(&view, &some(6..8)), (true, vec![4, 5], vec![]));
    assert!(!hand.unread.is_empty());
    hand.vouched();
    assert_eq!(hand.offer(&view, &[]), (false, vec![6, 7], vec![]));
    assert!(hand.unread.is_empty() && !hand.connection.keeps_reads());
}

#[test]
fn kept_reads_go_on_their_way_before_whatever_has_to_travel() {
    let view = shown();
    for behind in [write(), Request::Sync("/"), Request::CloseSession] {
        let mut hand = Hand::new(&view);
        let reads = [(1, read("/large")), (Xid::PING.0, Request::Ping), (2, read("/none"))];
        assert_eq!(hand.offer(&view, &reads), (true, vec![], vec![]));
        let travel = vec![1, Xid::PING.0, 2, 3];
        assert_eq!(hand.offer(&view, &[(3, behind)]), (false, vec![], travel));
        assert!(hand.unread.is_empty() && !hand.connection.keeps_reads());
        assert_eq!(hand.connection.in_flight(), 5);
    }
}

#[test]
fn a_kept_read_that_may_not_be_answered_in_place_travels_without_another_question() {
    let view = shown();
    let mut hand = Hand::new(&view);
    let watch = Request::Read(Read::Exists { path: "/none", watch: true });
    assert_eq!(hand.offer(&view, &[(1, watch)]), (false, vec![], vec![1]));
    hand.vouched();
    assert_eq!(hand.offer(&view, &[(2, read("/large"))]), (true, vec![], vec![]));
    hand.vouched();
    // The tree is past the events that were handed over.
    let (asks, here, travel) = hand.offer(&view, &[]);
    assert_eq!((asks, here, travel), (false, vec![], vec![2]));
    hand.vouched();
    hand.connection.handed(view.read(Tree::last_applied));
    assert_eq!(hand.offer(&view, &[(3, read("/large"))]), (true, vec![], vec![]));
    hand.vouched();
    assert_eq!(hand.offer(&view, &[]), (false, vec![3], vec![]));
}

#[test]
fn no_more_is_kept_than_a_limit() {
    let view = shown();
    let mut hand = Hand::new(&view);
    let mut came = 0;
    while !hand.connection.is_full() {
        hand.offer(&view, &[(came, read("/none"))]);
        came += 1;
        assert!(hand.unread.len() < CONNECTION_BYTES_KEPT_MAX + 100, "{came}");
    }
    assert!(hand.unread.len() >= CONNECTION_BYTES_KEPT_MAX);
    hand.vouched();
    assert!(!hand.connection.is_full());
    assert_eq!(hand.offer(&view, &[]), (true, vec![0], vec![]));
    hand.vouched();
    let (_, here, _) = hand.offer(&view, &[]);
    assert_eq!(here, (1..came).collect::<Vec<_>>());
}

#[test]
fn a_write_that_takes_effect_once_says_what_its_client_has_heard() {
    let view = shown();
    for exactly_once in [false, true] {
        let mut connection = fresh();
        let mut bytes = greeting().to_vec();
        let options = HelloOptions { exactly_once, ..HelloOptions::default() };
        let (last_zxid_seen, session) = (Zxid::ZERO, SessionId::NONE);
        Hello { last_zxid_seen, timeout_ms: 600, session, password: [0; 16], options }
            .encode(&mut bytes);
        let out = offer(&mut connection, &view, &bytes, bytes.len());
        let mut payloads = written(&out);
        connection.attached(&OPEN, &mut Output::default());
        // A frame that says nothing of it changes nothing of what was said before.
        for (xid, heard) in [(1, 0), (5, 4), (6, 0), (7, 6)] {
            let mut bytes = requests(Codec::Native, &[(xid, write()), (xid + 1, write())]);
            stamp(&mut bytes, Xid(xid), Xid(heard));
            payloads.extend(written(&offer(&mut connection, &view, &bytes, bytes.len())));
        }
        let bytes = requests(Codec::Native, &[(9, Request::CloseSession)]);
        payloads.extend(written(&offer(&mut connection, &view, &bytes, bytes.len())));
        let once = |xid, heard| exactly_once.then_some((xid, heard));
        let pairs = [(1, 0), (2, 0), (5, 4), (6, 4), (6, 4), (7, 4), (7, 6), (8, 6)];
        let mut expected = vec![None];
        expected.extend(pairs.map(|(xid, heard)| once(xid, heard)));
        expected.push(None);
        assert_eq!(payloads, expected, "sessions come and go as they always did");
    }
}

/// By what the writes that were submitted will be known: their numbers, and what was heard.
fn written(out: &Output) -> Vec<Option<(i32, i32)>> {
    let items = out.submissions.iter().flat_map(|sent| &sent.items);
    let payloads = items.map(|item| match &item.body {
        ItemBody::Write(payload) => txn::decode(payload).expect("a write is a transaction").once(),
        other => panic!("{other:?} is no write"),
    });
    payloads.map(|once| once.map(|once| (once.xid.0, once.heard.0))).collect()
}

#[test]
fn a_broken_frame_is_not_served_in_part_and_what_came_before_it_is() {
    let view = shown();
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let mut bytes = requests(codec, &[(1, write()), (2, read("/large"))]);
        bytes.extend_from_slice(&match codec {
            Codec::Jute => (-1_i32).to_be_bytes(),
            Codec::Native => u32::MAX.to_le_bytes(),
        });
        bytes.extend_from_slice(&requests(codec, &[(3, write())]));
        let mut out = Output::default();
        assert_eq!(connection.receive(&bytes, &view, &mut out), bytes.len());
        assert_eq!((out.submissions[0].items.len(), out.close), (2, false));
        connection.answered(2, &mut out);
        assert!(out.close, "the last answer is out");
    }
    let mut connection = open(Codec::Native, &view);
    let mut bytes = requests(Codec::Native, &[(1, read("/large")), (2, Request::WhoAmI)]);
    let verb = bytes.len() - 4;
    bytes[verb..].copy_from_slice(&99_u32.to_le_bytes());
    let out = offer(&mut connection, &view, &bytes, bytes.len());
    assert!(out.close && out.bytes.is_empty(), "its first request was sound, the frame is not");
}

#[test]
fn an_unknown_operation_is_answered_and_then_nothing_more() {
    let view = shown();
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let asked = [(1, Request::Unknown), (2, Request::WhoAmI)];
        let bytes = requests(codec, &asked);
        let out = offer(&mut connection, &view, &bytes, bytes.len());
        assert_eq!(answers(codec, &out.bytes), [(1, ErrorCode::Unimplemented.code())]);
        assert!(out.close);
    }
}

#[test]
fn answers_are_in_the_protocol_of_the_question() {
    let view = shown();
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let bytes = requests(codec, &[(5, Request::WhoAmI)]);
        let out = offer(&mut connection, &view, &bytes, 1);
        let (header, record) =
            codec.decode_reply_header(&out.bytes[4..]).expect("an answer has a header");
        let ip = AuthId { scheme: "ip".into(), id: "127.0.0.1".into() };
        let reply = codec.decode_reply(ReplyKind::Identities, header, record);
        assert_eq!(reply, Ok(OwnedReply::Identities(vec![ip])));
    }
}

#[test]
fn strings_that_are_not_utf8_are_looked_for_like_any_other() {
    let view = shown();
    let mut bytes = vec![];
    for (xid, path) in [(1, "/no[e"), (2, "/large"), (3, "/no[]e"), (4, "/large")] {
        bytes.extend(requests(Codec::Jute, &[(xid, read(path))]));
    }
    for byte in &mut bytes {
        *byte = if b"[]".contains(byte) { 0xff } else { *byte };
    }
    for piece in [1, 20, bytes.len()] {
        let mut connection = open(Codec::Jute, &view);
        let out = offer(&mut connection, &view, &bytes, piece);
        assert!(!out.close);
        assert_eq!(answers(Codec::Jute, &out.bytes), [(1, -101), (2, 0), (3, -101), (4, 0)]);
    }
}
