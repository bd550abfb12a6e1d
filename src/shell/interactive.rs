//! The prompt: lines in, commands out, until `quit` or the end of the input.
//!
//! Lines are edited on a thread of their own, so that the session lives while someone types.

use super::arguments::Parsed;
use super::command::{Command, Local};
use super::complete::completions;
use super::editor::{self, Ask};
use super::failure::Failure;
use super::output::Output;
use super::perform::Stage;
use super::printer::Printer;
use super::words::split_line;
use super::{help, is_over, not_connected, options, print_watches, version};
use crate::client::{Client, ClientError, SessionState};
use std::future::Future;
use std::pin::Pin;
use tokio::sync::mpsc::UnboundedReceiver;

const HISTORY_SHOWN: usize = 11;

/// What to do after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Ask,
    Quit,
}

/// A shell at its prompt.
pub(crate) struct Prompt {
    parsed: Parsed,
    printer: Printer,
    client: Option<Client>,
    history: Vec<String>,
}

impl Prompt {
    /// Not connected yet.
    pub(crate) fn new(parsed: Parsed, printer: Printer) -> Self {
        Self { parsed, printer, client: None, history: Vec::new() }
    }

    /// Connects and obeys until the end; the exit code.
    pub(crate) async fn run(mut self) -> u8 {
        let servers = self.parsed.servers.clone();
        if let Err(failure) = self.connect(&servers).await {
            self.printer.fail(&failure);
        }
        let (prompts, mut asks) = match editor::start() {
            Ok(ends) => ends,
            Err(error) => {
                self.printer.fail(&Failure::Refused(format!("cannot read lines: {error}")));
                return super::EXIT_FAILED;
            }
        };
        loop {
            if prompts.send(self.prompt()).is_err() {
                break;
            }
            let Some(line) = self.next_line(&mut asks).await else { break };
            if self.obey(&line).await == Next::Quit {
                break;
            }
        }
        if let Some(client) = self.client.take() {
            client.close().await;
        }
        0
    }

    fn prompt(&self) -> String {
        let state = match self.client.as_ref().map(Client::state) {
            None | Some(SessionState::Closed) => "CLOSED",
            Some(SessionState::Disconnected) => "CONNECTING",
            Some(SessionState::SyncConnected) => "CONNECTED",
            Some(SessionState::ConnectedReadOnly) => "CONNECTEDREADONLY",
            Some(SessionState::AuthFailed) => "AUTH_FAILED",
            Some(SessionState::Expired) => "EXPIRED",
        };
        format!("[zk: {}({state}) {}] ", self.parsed.servers, self.history.len())
    }

    /// The next line; meanwhile completes what is being typed.
    async fn next_line(&self, asks: &mut UnboundedReceiver<Ask>) -> Option<String> {
        while let Some(ask) = asks.recv().await {
            match ask {
                Ask::Line(line) => return Some(line),
                Ask::Complete { line, answer } => {
                    // The editor waits for this answer and for nothing else.
                    drop(answer.send(completions(self.client.as_ref(), &line).await));
                }
            }
        }
        None
    }

    /// Carries out one line. Boxed because `redo` comes back here.
    fn obey<'a>(&'a mut self, line: &'a str) -> Pin<Box<dyn Future<Output = Next> + 'a>> {
        Box::pin(async move {
            let words = split_line(line);
            if words.is_empty() {
                return Next::Ask;
            }
            let result = match Command::parse(&words) {
                Ok(Command::Local(Local::Redo { number })) => return self.redo(number).await,
                Ok(command) => {
                    self.history.push(line.to_owned());
                    self.carry_out(command).await
                }
                Err(failure) => {
                    self.history.push(line.to_owned());
                    if let Failure::Unknown(_) = failure {
                        self.printer.print(&help());
                    }
                    Err(failure)
                }
            };
            match result {
                Ok(next) => next,
                Err(failure) => {
                    self.printer.fail(&failure);
                    Next::Ask
                }
            }
        })
    }

    async fn redo(&mut self, number: usize) -> Next {
        match self.history.get(number).cloned() {
            Some(line) => self.obey(&line).await,
            None => {
                let text = "Command index out of range".to_owned();
                self.printer.fail(&Failure::Refused(text));
                Next::Ask
            }
        }
    }

    async fn carry_out(&mut self, command: Command) -> Result<Next, Failure> {
        let local = match command {
            Command::Local(local) => local,
            asked @ (Command::Read(_) | Command::Write(_) | Command::Session(_)) => {
                self.ask_server(asked).await?;
                return Ok(Next::Ask);
            }
        };
        match local {
            Local::Quit => return Ok(Next::Quit),
            Local::Help => self.printer.print(&help()),
            Local::Version => self.printer.print(&version()),
            Local::PrintWatches { on } => {
                self.printer.print(&print_watches(&self.printer, on));
            }
            Local::History => self.show_history(),
            Local::Connect { servers } => self.connect(&servers).await?,
            Local::Close => match self.client.take() {
                Some(client) => client.close().await,
                None => return Err(not_connected()),
            },
            Local::Redo { number } => return Ok(self.redo(number).await),
        }
        Ok(Next::Ask)
    }

    async fn ask_server(&self, command: Command) -> Result<(), Failure> {
        let client = self.client.clone().ok_or_else(not_connected)?;
        let stage = Stage { client, printer: self.printer.clone() };
        stage.perform(command).await.map_err(|failure| match failure {
            Failure::Client { ref error, .. }
                if is_over(error) && *error != ClientError::AuthFailed =>
            {
                not_connected()
            }
            other => other,
        })
    }

    async fn connect(&mut self, servers: &str) -> Result<(), Failure> {
        let client = Client::open(servers, options(&self.parsed))?;
        let mut states = client.session_events();
        let printer = self.printer.clone();
        tokio::spawn(async move {
            while let Some(state) = states.next().await {
                printer.print_event(&Output::Session(state.name()));
            }
        });
        if let Some(before) = self.client.replace(client.clone()) {
            before.close().await;
        }
        self.parsed.servers = servers.to_owned();
        match client.await_connected(self.parsed.timeout).await {
            state if state.is_connected() => Ok(()),
            state => Err(Failure::Refused(format!("{servers} is not reached: {}", state.name()))),
        }
    }

    fn show_history(&self) {
        let first = self.history.len().saturating_sub(HISTORY_SHOWN);
        for (number, line) in self.history.iter().enumerate().skip(first) {
            self.printer.print(&Output::Message(format!("{number} - {line}")));
        }
    }
}
