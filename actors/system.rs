//! What the operating system tells of this process, for the four-letter words. What it does not
//! tell is left out.

use std::fs;
use std::path::Path;

/// Keys and values of `envi` that are of the machine and not of the server.
pub(crate) fn environment() -> Vec<(String, String)> {
    let directory = std::env::current_dir().map(|path| path.display().to_string());
    let pairs = [
        ("host.name", kernel("hostname")),
        ("os.name", capitalized(std::env::consts::OS)),
        ("os.arch", architecture().to_owned()),
        ("os.version", kernel("osrelease")),
        ("user.name", user_name().unwrap_or_default()),
        ("user.home", std::env::var("HOME").unwrap_or_default()),
        ("user.dir", directory.unwrap_or_default()),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// As Java names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        other => other,
    }
}

/// Whoever this process runs as. Variables of the environment may tell of somebody else.
fn user_name() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let id = ids.split_whitespace().nth(1)?;
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let mut users = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    users.find(|fields| fields.get(2) == Some(&id)).map(|fields| fields[0].to_owned())
}

fn kernel(name: &str) -> String {
    let text = fs::read_to_string(Path::new("/proc/sys/kernel").join(name));
    text.map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// `Linux`, as Java names it.
fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Files and sockets this process has open.
pub(crate) fn open_files() -> Option<u64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}

/// How many it may have open.
pub(crate) fn open_files_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// Bytes of all files in a directory, those in directories below it left out.
pub(crate) fn bytes_in(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).filter(|m| m.is_file()).map(|m| m.len()).sum()
}
