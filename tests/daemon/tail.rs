//! The end of the log after a crash: a write that was torn is cut, a bit that flipped in what was
//! acknowledged stops the start.

use super::{Daemon, PATIENCE, connect, create, files, starts_with_znodes, with_znodes};
use std::time::{Duration, Instant};

/// Waits until the idle daemon has marked its log.
fn await_mark(daemon: &Daemon) {
    let begun = Instant::now();
    while !files::is_marked(&files::log(&daemon.data())) {
        assert!(begun.elapsed() < PATIENCE, "the log is not marked");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the log holds so many transactions, durable or not.
async fn await_transactions(daemon: &Daemon, count: usize) {
    let begun = Instant::now();
    while files::transactions(&files::log(&daemon.data())).len() < count {
        assert!(begun.elapsed() < PATIENCE, "not enough is written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The last transaction is damaged and had been durable: the start must fail.
fn refuses_damaged_end(mut daemon: Daemon) {
    let log = files::log(&daemon.data());
    let last = *files::transactions(&log).last().expect("there are transactions");
    files::flip_in(&log, last);
    let before = std::fs::read(&log).expect("reads");
    let (code, told) = daemon.refuses();
    assert_eq!(code, 65, "{told}");
    let place = format!("{} is damaged at offset {last}", log.display());
    assert!(told.contains(&place) && told.contains("restore the file from a backup"), "{told}");
    assert_eq!(before, std::fs::read(&log).expect("reads"), "the log was changed");
}

#[tokio::test]
async fn a_bit_flipped_in_the_last_batch_after_idling_and_a_kill_stops_the_start() {
    let mut daemon = with_znodes(Daemon::new(), 5).await;
    await_mark(&daemon);
    daemon.kill();
    refuses_damaged_end(daemon);
}

#[tokio::test]
async fn a_bit_flipped_in_the_last_batch_after_an_orderly_end_stops_the_start() {
    let mut daemon = with_znodes(Daemon::new(), 5).await;
    assert_eq!(daemon.stop(), 0, "{}", daemon.told());
    refuses_damaged_end(daemon);
}

#[tokio::test]
async fn the_same_bit_in_a_write_that_was_never_durable_is_cut() {
    let mut daemon = with_znodes(Daemon::new().trapped(), 5).await;
    let client = connect(&daemon).await;
    daemon.arm("stalled");
    let log = files::log(&daemon.data());
    let acknowledged = files::transactions(&log).len();
    let unanswered = create(&client, 5..6, 100);
    let killed = async {
        await_transactions(&daemon, acknowledged + 1).await;
        daemon.kill();
    };
    let (answer, ()) = tokio::join!(unanswered, killed);
    assert!(matches!(answer, (5, Some(_))), "acknowledged before its sync: {answer:?}");
    drop(client);
    files::flip_in(&log, *files::transactions(&log).last().expect("there are transactions"));
    daemon.disarm("stalled");
    starts_with_znodes(&mut daemon, 5, 100).await;
    daemon.tells(&["never acknowledged write were cut off", &log.display().to_string()]);
}

#[tokio::test]
async fn a_torn_end_is_cut_and_everything_acknowledged_is_there() {
    let mut daemon = with_znodes(Daemon::new(), 5).await;
    await_mark(&daemon);
    daemon.kill();
    let log = files::log(&daemon.data());
    let bytes = std::fs::read(&log).expect("reads");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("is not empty") + 1;
    let torn = [&bytes[..end.next_multiple_of(8)], b"OREC and a piece of a record"].concat();
    std::fs::write(&log, torn).expect("writes");
    starts_with_znodes(&mut daemon, 5, 100).await;
    daemon.tells(&["were cut off", &log.display().to_string()]);
    assert_eq!(daemon.stop(), 0);
    starts_with_znodes(&mut daemon, 5, 100).await;
}

#[tokio::test]
async fn a_server_killed_under_load_again_and_again_loses_nothing() {
    let mut daemon = with_znodes(Daemon::new(), 0).await;
    let mut done = 0;
    for _ in 0..3 {
        let client = connect(&daemon).await;
        let writes = create(&client, done..100_000, 100);
        let kill = async {
            // At the last transaction the write before it has been answered.
            await_transactions(&daemon, done as usize + 20).await;
            daemon.kill();
        };
        let ((acknowledged, error), ()) = tokio::join!(writes, kill);
        assert!(error.is_some() && acknowledged > done, "{acknowledged}: {error:?}");
        drop(client);
        daemon.start();
        let client = connect(&daemon).await;
        // One more may have become durable without an answer.
        let last = format!("/n{acknowledged}");
        let unanswered = client.exists(&last).await.expect("reads").is_some();
        done = acknowledged + u32::from(unanswered);
        client.close().await;
        daemon.kill();
        starts_with_znodes(&mut daemon, done, 100).await;
    }
}
