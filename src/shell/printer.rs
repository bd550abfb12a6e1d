//! Where output goes, and in which form. Shared by commands and by the tasks that print events.

use super::failure::Failure;
use super::output::Output;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Prints to stdout and stderr. Clones share the switch for events.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    json: bool,
    events: Arc<AtomicBool>,
}

impl Printer {
    /// For people, or as JSON for programs.
    pub(crate) fn new(json: bool) -> Self {
        Self { json, events: Arc::new(AtomicBool::new(true)) }
    }

    /// Switches the printing of events.
    pub(crate) fn print_events(&self, on: bool) {
        self.events.store(on, Ordering::Relaxed);
    }

    /// Whether events are printed.
    pub(crate) fn prints_events(&self) -> bool {
        self.events.load(Ordering::Relaxed)
    }

    /// Prints the result of a command.
    pub(crate) fn print(&self, output: &Output) {
        match (self.json, output.is_note()) {
            (true, _) => write(&mut std::io::stdout(), &format!("{}\n", output.json())),
            (false, true) => write(&mut std::io::stderr(), &output.text()),
            (false, false) => write(&mut std::io::stdout(), &output.text()),
        }
    }

    /// Prints an event, unless that is switched off.
    pub(crate) fn print_event(&self, event: &Output) {
        if self.prints_events() {
            self.print(event);
        }
    }

    /// Prints why a command did not succeed.
    pub(crate) fn fail(&self, failure: &Failure) {
        let text = match self.json {
            true => failure.json().to_string(),
            false => failure.text(),
        };
        write(&mut std::io::stderr(), &format!("{text}\n"));
    }
}

fn write(stream: &mut impl Write, text: &str) {
    // Whoever reads us may have gone, as `head` does; there is nobody left to tell.
    drop(stream.write_all(text.as_bytes()).and_then(|()| stream.flush()));
}
