//! The ensemble's configuration: shown as the servers keep it or as clients need it, and changed.

use super::command::Form;
use super::failure::{About, Failure};
use super::output::Output;
use super::perform::Stage;
use crate::client::Reconfiguration;

const PATH: &str = "/zookeeper/config";

/// Prints the configuration.
pub(crate) async fn show(
    stage: &Stage,
    client_form: bool,
    watch: bool,
    stat: bool,
) -> Result<(), Failure> {
    let (data, found) = if watch {
        let (data, found, watch) = stage.client.data_watched(PATH).await.about(PATH)?;
        stage.follow(watch);
        (data, found)
    } else {
        stage.client.config().await.about(PATH)?
    };
    let data = match client_form {
        true => client_text(&String::from_utf8_lossy(&data.unwrap_or_default())).into_bytes(),
        false => data.unwrap_or_default(),
    };
    stage.show(Output::Data { data: Some(data), form: Form::Text });
    stage.show_stat(stat, found);
    Ok(())
}

/// Changes the membership and prints the new configuration.
pub(crate) async fn change(
    stage: &Stage,
    change: &Reconfiguration,
    version: i64,
    stat: bool,
) -> Result<(), Failure> {
    let (data, found) = stage.client.reconfigure(change, version).await?;
    stage.show(Output::Message("Committed new configuration:".to_owned()));
    stage.show(Output::Data { data: Some(data.unwrap_or_default()), form: Form::Text });
    stage.show_stat(stat, found);
    Ok(())
}

/// `version host:port,host:port`, the addresses that clients connect to.
///
/// A client address of `server.N=host:port:port:role;client` is a port alone, which stands behind
/// the server's own host, or `host:port`.
fn client_text(config: &str) -> String {
    let mut version = "";
    let mut addresses = Vec::new();
    for line in config.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        if key == "version" {
            version = value;
        }
        let Some((server, client)) = value.split_once(';') else { continue };
        if !key.starts_with("server.") {
            continue;
        }
        let host = server.split(':').next().unwrap_or_default();
        addresses.push(match client.contains(':') {
            true => client.to_owned(),
            false => format!("{host}:{client}"),
        });
    }
    format!("{version} {}", addresses.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_see_a_version_and_addresses() {
        let config = "server.1=a:2888:3888:participant;0.0.0.0:2181\n\
                      server.2=b:2888:3888:observer;2182\nversion=1f";
        assert_eq!(client_text(config), "1f 0.0.0.0:2181,b:2182");
        assert_eq!(client_text(""), " ");
    }
}
