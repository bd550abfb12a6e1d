//! How much one connection may have under way and unfetched, and where the rest waits. What the
//! answers say is told in `serving`.

use super::*;

/// Answers pile up, the rest of the frame waits, and goes on where it stopped.
#[test]
fn a_client_that_does_not_fetch_its_answers_waits_in_the_middle_of_a_frame() {
    let view = shown();
    let count = 3 * CONNECTION_OUTPUT_BYTES_MAX as i32 / (1 << 16);
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let asked: Vec<_> = (1..=count).map(|xid| (xid, read("/large"))).collect();
        let mut unread = requests(codec, &asked);
        let mut got = vec![];
        let mut pauses = 0;
        loop {
            let mut out = Output::default();
            let consumed = connection.receive(&unread, &view, &mut out);
            assert!(out.bytes.len() < CONNECTION_OUTPUT_BYTES_MAX + (1 << 17));
            got.extend(answers(codec, &out.bytes));
            unread.drain(..consumed);
            if !out.stalled {
                break;
            }
            pauses += 1;
        }
        assert_eq!((unread.len(), pauses), (0, 2));
        let expected: Vec<_> = (1..=count).map(|xid| (xid, 0)).collect();
        assert_eq!(got, expected, "{codec:?}");
    }
}

#[test]
fn requests_under_way_are_counted_by_number_and_by_bytes() {
    let view = shown();
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let many = i32::try_from(CONNECTION_REQUESTS_IN_FLIGHT_MAX).expect("a small number");
        let asked: Vec<_> = (1..many).map(|xid| (xid, write())).collect();
        let bytes = requests(codec, &asked);
        offer(&mut connection, &view, &bytes, bytes.len());
        assert!(!connection.is_full());
        let one = requests(codec, &[(many, write())]);
        offer(&mut connection, &view, &one, one.len());
        assert!(connection.is_full());
        connection.answered(1, &mut Output::default());
        assert!(!connection.is_full());
        connection.answered(connection.in_flight(), &mut Output::default());

        let data = vec![0; 1 << 19];
        let set = Request::Write(Op::SetData { path: "/a", data: Some(&data), version: -1 });
        let few = CONNECTION_BYTES_IN_FLIGHT_MAX >> 19;
        let bytes = requests(codec, &[(1, set)]);
        for _ in 0..few {
            assert!(!connection.is_full());
            offer(&mut connection, &view, &bytes, bytes.len());
        }
        assert!(connection.is_full() && connection.in_flight() == few);
        connection.answered(1, &mut Output::default());
        assert!(!connection.is_full());
    }
}

/// However much one read of the socket gave: the rest waits until half of the room is free again,
/// and goes on in the middle of a frame.
#[test]
fn no_more_is_let_in_than_may_be_under_way() {
    let view = shown();
    let window = CONNECTION_REQUESTS_IN_FLIGHT_MAX;
    let last = i32::try_from(3 * window).expect("a small number");
    let half = last / 2;
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let frames = [1..half, half..last].map(|xids| {
            let asked: Vec<_> = xids.map(|xid| (xid, write())).collect();
            asked.chunks(window).flat_map(|some| requests(codec, some)).collect::<Vec<u8>>()
        });
        let mut unread = frames.concat();
        let mut submitted = vec![];
        loop {
            let mut out = Output::default();
            let consumed = connection.receive(&unread, &view, &mut out);
            unread.drain(..consumed);
            let items = out.submissions.iter().flat_map(|submission| &submission.items);
            submitted.extend(items.map(|item| item.xid.0));
            assert!(connection.in_flight() <= window, "{codec:?}");
            if !out.stalled {
                break;
            }
            assert!(connection.is_full() && !connection.has_room());
            connection.answered(window / 2 - 1, &mut Output::default());
            assert!(!connection.has_room());
            connection.answered(1, &mut Output::default());
            assert!(connection.has_room());
        }
        assert!(unread.is_empty());
        assert_eq!(submitted, (1..last).collect::<Vec<_>>(), "{codec:?}");
    }
}
