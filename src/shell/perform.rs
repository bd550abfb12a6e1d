//! Carries out the commands that ask a server, and prints what they find.

use super::command::{Command, Form};
use super::failure::{About, Failure};
use super::output::Output;
use super::printer::Printer;
use super::{configuration, quotas, tree};
use crate::client::{Client, CreateOptions, ErrorCode, EventKind, RemoveKind, Watch, open_acl};

/// A session and where its results go.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// Asks the servers.
    pub(crate) client: Client,
    /// Prints.
    pub(crate) printer: Printer,
}

impl Stage {
    /// Carries out one command; those that need no server are refused here by the caller.
    pub(crate) async fn perform(&self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Create { .. }
            | Command::Set { .. }
            | Command::Delete { .. }
            | Command::DeleteAll { .. }
            | Command::SetAcl { .. } => self.write(command).await,
            Command::Get { .. }
            | Command::GetAcl { .. }
            | Command::List { .. }
            | Command::Stat { .. }
            | Command::DescendantCount { .. }
            | Command::Ephemerals { .. } => self.read(command).await,
            Command::AddWatch { path, mode } => {
                let watch = self.client.watch(&path, mode).await.about(&path)?;
                self.follow(watch);
                Ok(())
            }
            Command::RemoveWatches { path, kind, local } => {
                self.remove_watches(&path, kind, local).await
            }
            Command::AddAuth { scheme, auth } => {
                Ok(self.client.add_auth(&scheme, auth.as_bytes()).await?)
            }
            Command::WhoAmI => {
                self.show(Output::Identities(self.client.who_am_i().await?));
                Ok(())
            }
            Command::Sync { path } => {
                self.client.sync(&path).await.about(&path)?;
                self.show(Output::Message("Sync is OK".to_owned()));
                Ok(())
            }
            Command::SetQuota { path, limit, value } => {
                quotas::set(self, &path, limit, value).await
            }
            Command::DeleteQuota { path, limit } => quotas::delete(self, &path, limit).await,
            Command::ListQuota { path } => quotas::list(self, &path).await,
            Command::Config { client_form, watch, stat } => {
                configuration::show(self, client_form, watch, stat).await
            }
            Command::Reconfig { change, version, stat } => {
                configuration::change(self, &change, version, stat).await
            }
            Command::Close
            | Command::Connect { .. }
            | Command::Help
            | Command::History
            | Command::PrintWatches { .. }
            | Command::Quit
            | Command::Redo { .. }
            | Command::Version => {
                Err(Failure::Refused("this command needs the shell itself".to_owned()))
            }
        }
    }

    /// Prints a result.
    pub(crate) fn show(&self, output: Output) {
        self.printer.print(&output);
    }

    /// Prints a stat if it was asked for.
    pub(crate) fn show_stat(&self, wanted: bool, stat: crate::client::Stat) {
        if wanted {
            self.show(Output::Stat(stat));
        }
    }

    /// Prints the events of a watch as they come.
    pub(crate) fn follow(&self, mut watch: Watch) {
        let printer = self.printer.clone();
        tokio::spawn(async move {
            while let Some(event) = watch.next().await {
                // People learn of a lost connection from the session's events.
                if event.kind != EventKind::Resumed {
                    printer.print_event(&Output::Event(event));
                }
            }
        });
    }

    async fn write(&self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Create { path, data, acl, kind, ttl_ms, sequential } => {
                let acl = acl.unwrap_or_else(open_acl);
                let options = CreateOptions { sequential, kind, ttl_ms, acl };
                let created = self.client.create(&path, data.as_deref(), &options).await;
                self.show(Output::Created(created.about(&path)?.0));
            }
            Command::Set { path, data, version, stat } => {
                let changed = self.client.set_data(&path, Some(&data), version).await;
                self.show_stat(stat, changed.about(&path)?);
            }
            Command::Delete { path, version } => {
                self.client.delete(&path, version).await.about(&path)?;
            }
            Command::DeleteAll { path, batch } => {
                tree::delete_all(&self.client, &path, batch).await?;
            }
            Command::SetAcl { path, acl, version, stat, recursive: false } => {
                let changed = self.client.set_acl(&path, &acl, version).await;
                self.show_stat(stat, changed.about(&path)?);
            }
            Command::SetAcl { path, acl, version, stat, recursive: true } => {
                for path in tree::subtree(&self.client, &path).await? {
                    let changed = self.client.set_acl(&path, &acl, version).await;
                    self.show_stat(stat, changed.about(&path)?);
                }
            }
            other => return Err(Failure::Refused(format!("{other:?} writes nothing"))),
        }
        Ok(())
    }

    async fn read(&self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Get { path, stat, watch, form } => self.get(&path, stat, watch, form).await,
            Command::Stat { path, watch } => self.stat(&path, watch).await,
            Command::List { path, recursive: true, .. } => {
                tree::list(&self.client, &path, &mut |path| {
                    self.show(Output::Lines(vec![path.to_owned()]));
                })
                .await
            }
            Command::List { path, stat, watch, recursive: false } => {
                self.list(&path, stat, watch).await
            }
            Command::GetAcl { path, stat } => {
                let (acl, found) = self.client.acl(&path).await.about(&path)?;
                self.show(Output::Acl(acl));
                self.show_stat(stat, found);
                Ok(())
            }
            Command::DescendantCount { path } => {
                let count = self.client.descendant_count(&path).await.about(&path)?;
                self.show(Output::Number(count));
                Ok(())
            }
            Command::Ephemerals { prefix } => {
                let mut paths = self.client.ephemerals(&prefix).await.about(&prefix)?;
                paths.sort();
                self.show(Output::List(paths));
                Ok(())
            }
            other => Err(Failure::Refused(format!("{other:?} reads nothing"))),
        }
    }

    async fn get(&self, path: &str, stat: bool, watch: bool, form: Form) -> Result<(), Failure> {
        let (data, found) = if watch {
            let (data, found, watch) = self.client.data_watched(path).await.about(path)?;
            self.follow(watch);
            (data, found)
        } else {
            self.client.data(path).await.about(path)?
        };
        self.show(Output::Data { data, form });
        self.show_stat(stat, found);
        Ok(())
    }

    async fn stat(&self, path: &str, watch: bool) -> Result<(), Failure> {
        let found = if watch {
            let (found, watch) = self.client.exists_watched(path).await.about(path)?;
            self.follow(watch);
            found
        } else {
            self.client.exists(path).await.about(path)?
        };
        let missing = crate::client::ClientError::from_code(ErrorCode::NoNode);
        self.show_stat(true, found.ok_or(missing).about(path)?);
        Ok(())
    }

    async fn list(&self, path: &str, stat: bool, watch: bool) -> Result<(), Failure> {
        let (mut names, found) = if watch {
            let (names, found, watch) = self.client.children_watched(path).await.about(path)?;
            self.follow(watch);
            (names, found)
        } else {
            self.client.children(path).await.about(path)?
        };
        names.sort();
        self.show(Output::List(names));
        self.show_stat(stat, found);
        Ok(())
    }

    async fn remove_watches(
        &self,
        path: &str,
        kind: RemoveKind,
        local: bool,
    ) -> Result<(), Failure> {
        if !local {
            return self.client.remove_watches(path, kind).await.about(path);
        }
        if self.client.forget_watches(path, kind).about(path)? {
            return Ok(());
        }
        Err(crate::client::ClientError::from_code(ErrorCode::NoWatcher)).about(path)
    }
}
