//! Waiting for sockets: `epoll`, level-triggered, and a timer finer than its milliseconds.

use super::LoadError;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::mem::MaybeUninit;
use std::time::Duration;

const EVENTS_MAX: usize = 256;
/// Waits from here on are left to `epoll`, which counts in milliseconds; it saves setting a timer.
const COARSE: Duration = Duration::from_millis(10);
/// Token of the timer; sockets are numbered from 0.
const TIMER: u64 = u64::MAX;

/// One thread's set of sockets.
pub(super) struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
}

/// A socket that can be read or written, or has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    /// What it was added as.
    pub(super) token: usize,
}

impl Poller {
    pub(super) fn new() -> Result<Self, LoadError> {
        let make = || {
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            // Told once: a timer that went off and was not read would end every later wait.
            let flags = EventFlags::IN | EventFlags::ET;
            epoll::add(&epoll, &timer, EventData::new_u64(TIMER), flags)?;
            Ok(Self { epoll, timer })
        };
        make().map_err(|error: rustix::io::Errno| LoadError::Machine {
            what: "waiting for sockets",
            error: error.into(),
        })
    }

    pub(super) fn add(&self, socket: impl AsFd, token: usize) -> std::io::Result<()> {
        let data = EventData::new_u64(token as u64);
        Ok(epoll::add(&self.epoll, socket, data, EventFlags::IN)?)
    }

    /// Whether to be told as well when the socket takes bytes again.
    pub(super) fn want_room(
        &self,
        socket: impl AsFd,
        token: usize,
        wanted: bool,
    ) -> std::io::Result<()> {
        let flags = if wanted { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(token as u64), flags)?)
    }

    /// Waits until a socket is ready or the time is over; not at all if the time is zero.
    pub(super) fn wait(&self, at_most: Duration, ready: &mut Vec<Ready>) -> std::io::Result<()> {
        ready.clear();
        let time = Timespec {
            tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: at_most.subsec_nanos().into(),
        };
        let mut timeout = Some(&time);
        if !at_most.is_zero() && at_most < COARSE {
            let none = Timespec { tv_sec: 0, tv_nsec: 0 };
            let once = Itimerspec { it_interval: none, it_value: time };
            // Setting it anew also takes back an expiry that nobody has read.
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
            timeout = None;
        }
        let mut events = [const { MaybeUninit::uninit() }; EVENTS_MAX];
        let events = match epoll::wait(&self.epoll, &mut events[..], timeout) {
            Ok((events, _)) => &*events,
            Err(rustix::io::Errno::INTR) => &[],
            Err(error) => return Err(error.into()),
        };
        let tokens = events.iter().map(|event| event.data.u64());
        ready.extend(
            tokens.filter(|token| *token != TIMER).map(|token| Ready { token: token as usize }),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    #[test]
    fn the_timer_ends_a_wait_and_a_socket_does_so_earlier() {
        let poller = Poller::new().unwrap();
        let mut ready = Vec::new();
        let begun = Instant::now();
        poller.wait(Duration::from_micros(300), &mut ready).unwrap();
        assert!(ready.is_empty());
        assert!(begun.elapsed() >= Duration::from_micros(300));
        let begun = Instant::now();
        poller.wait(COARSE * 2, &mut ready).unwrap();
        assert!(begun.elapsed() >= COARSE * 2, "a timer that went off is over");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        poller.add(&far, 7).unwrap();
        near.write_all(b"x").unwrap();
        let begun = Instant::now();
        poller.wait(Duration::from_secs(20), &mut ready).unwrap();
        assert_eq!(ready[0].token, 7);
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
