//! Line editing on its own thread: history in the home directory, completion by asking back.

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};
use std::path::PathBuf;
use std::sync::mpsc;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const HISTORY_FILE: &str = ".ostler_history";

/// What the editor wants from the shell.
pub(crate) enum Ask {
    /// A finished line.
    Line(String),
    /// What the last word of an unfinished line can become.
    Complete {
        /// The line up to the cursor.
        line: String,
        /// Where the editor waits.
        answer: mpsc::Sender<Vec<String>>,
    },
}

/// Starts the thread: prompts go in, what was typed comes out, and both end with the input.
///
/// # Errors
/// If the terminal refuses.
pub(crate) fn start() -> rustyline::Result<(mpsc::Sender<String>, UnboundedReceiver<Ask>)> {
    let (prompts, prompted) = mpsc::channel();
    let (asks, asked) = unbounded_channel();
    let mut editor: Editor<Assistant, DefaultHistory> = Editor::new()?;
    editor.set_helper(Some(Assistant { asks: asks.clone() }));
    std::thread::spawn(move || edit(&mut editor, &prompted, &asks));
    Ok((prompts, asked))
}

fn edit(
    editor: &mut Editor<Assistant, DefaultHistory>,
    prompted: &mpsc::Receiver<String>,
    asks: &UnboundedSender<Ask>,
) {
    let file = history_file();
    if let Some(file) = &file {
        // There is none before the first time.
        drop(editor.load_history(file));
    }
    while let Ok(prompt) = prompted.recv() {
        let line = match editor.readline(&prompt) {
            Ok(line) => line,
            // Ctrl-C gives up the line, not the shell.
            Err(ReadlineError::Interrupted) => String::new(),
            Err(_end_of_input) => return,
        };
        remember(editor, &line, file.as_ref());
        if asks.send(Ask::Line(line)).is_err() {
            return;
        }
    }
}

/// Written after every line, since the process may end at any time. A history that cannot be
/// kept is no reason to stop.
fn remember(editor: &mut Editor<Assistant, DefaultHistory>, line: &str, file: Option<&PathBuf>) {
    // Passwords stay out of the file.
    if line.trim().is_empty() || line.trim_start().starts_with("addauth") {
        return;
    }
    drop(editor.add_history_entry(line));
    if let Some(file) = file {
        drop(editor.save_history(file));
    }
}

fn history_file() -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(HISTORY_FILE))
}

struct Assistant {
    asks: UnboundedSender<Ask>,
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let line = &line[..cursor];
        let start = line.rfind(char::is_whitespace).map_or(0, |space| space + 1);
        let (answer, answered) = mpsc::channel();
        let ask = Ask::Complete { line: line.to_owned(), answer };
        let candidates = match self.asks.send(ask) {
            Ok(()) => answered.recv().unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        Ok((start, candidates))
    }
}

impl Helper for Assistant {}
impl Hinter for Assistant {
    type Hint = String;
}
impl Highlighter for Assistant {}
impl Validator for Assistant {}
