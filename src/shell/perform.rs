//! Carries out the commands that ask a server, and prints what they find.

use super::command::{Command, Form, Read, Session, Write};
use super::failure::{About, Failure};
use super::output::Output;
use super::printer::Printer;
use super::{configuration, quotas, rooms, tree};
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
    /// Carries out one command. The shell's own are its prompt's business and do nothing here.
    pub(crate) async fn perform(&self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Local(_) => Ok(()),
            Command::Read(read) => self.read(read).await,
            Command::Write(write) => self.write(write).await,
            Command::Session(session) => self.change_session(session).await,
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

    async fn write(&self, write: Write) -> Result<(), Failure> {
        match write {
            Write::Create { path, data, acl, kind, ttl_ms, sequential } => {
                let acl = acl.unwrap_or_else(open_acl);
                let options = CreateOptions { sequential, kind, ttl_ms, acl };
                let created = self.client.create(&path, data.as_deref(), &options).await;
                self.show(Output::Created(created.about(&path)?.0));
            }
            Write::Set { path, data, version, stat } => {
                let changed = self.client.set_data(&path, Some(&data), version).await;
                self.show_stat(stat, changed.about(&path)?);
            }
            Write::Delete { path, version } => {
                self.client.delete(&path, version).await.about(&path)?;
            }
            Write::DeleteAll { path, batch } => {
                tree::delete_all(&self.client, &path, batch).await?;
            }
            Write::SetAcl { path, acl, version, stat, recursive: false } => {
                let changed = self.client.set_acl(&path, &acl, version).await;
                self.show_stat(stat, changed.about(&path)?);
            }
            Write::SetAcl { path, acl, version, stat, recursive: true } => {
                for path in tree::subtree(&self.client, &path).await? {
                    let changed = self.client.set_acl(&path, &acl, version).await;
                    self.show_stat(stat, changed.about(&path)?);
                }
            }
            Write::SetQuota { path, limit, value } => {
                quotas::set(self, &path, limit, value).await?;
            }
            Write::DeleteQuota { path, limit } => quotas::delete(self, &path, limit).await?,
            Write::Reconfig { change, version, stat } => {
                configuration::change(self, &change, version, stat).await?;
            }
        }
        Ok(())
    }

    async fn read(&self, read: Read) -> Result<(), Failure> {
        match read {
            Read::Get { path, stat, watch, form } => self.get(&path, stat, watch, form).await,
            Read::Stat { path, watch } => self.stat(&path, watch).await,
            Read::List { path, recursive: true, .. } => {
                tree::list(&self.client, &path, &mut |path| {
                    self.show(Output::Lines(vec![path.to_owned()]));
                })
                .await
            }
            Read::List { path, stat, watch, recursive: false } => {
                self.list(&path, stat, watch).await
            }
            Read::GetAcl { path, stat } => {
                let (acl, found) = self.client.acl(&path).await.about(&path)?;
                self.show(Output::Acl(acl));
                self.show_stat(stat, found);
                Ok(())
            }
            Read::DescendantCount { path } => {
                let count = self.client.descendant_count(&path).await.about(&path)?;
                self.show(Output::Number(count));
                Ok(())
            }
            Read::Ephemerals { prefix } => {
                let mut paths = self.client.ephemerals(&prefix).await.about(&prefix)?;
                paths.sort();
                self.show(Output::List(paths));
                Ok(())
            }
            Read::WhoAmI => {
                self.show(Output::Identities(self.client.who_am_i().await?));
                Ok(())
            }
            Read::Rooms => {
                self.show(Output::Text(rooms::ask(&self.client).await?));
                Ok(())
            }
            Read::ListQuota { path } => quotas::list(self, &path).await,
            Read::Config { client_form, watch, stat } => {
                configuration::show(self, client_form, watch, stat).await
            }
        }
    }

    async fn change_session(&self, session: Session) -> Result<(), Failure> {
        match session {
            Session::AddWatch { path, mode } => {
                let watch = self.client.watch(&path, mode).await.about(&path)?;
                self.follow(watch);
            }
            Session::RemoveWatches { path, kind, local } => {
                self.remove_watches(&path, kind, local).await?;
            }
            Session::AddAuth { scheme, auth } => {
                self.client.add_auth(&scheme, auth.as_bytes()).await?;
            }
            Session::Sync { path } => {
                self.client.sync(&path).await.about(&path)?;
                self.show(Output::Message("Sync is OK".to_owned()));
            }
        }
        Ok(())
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
