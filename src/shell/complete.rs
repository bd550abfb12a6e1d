//! What the word that is being typed can become: a command, or a path of the server's tree.

use super::grammar::GRAMMARS;
use super::tree::join;
use crate::client::Client;

/// The words that may stand in place of a line's last word.
pub(crate) async fn completions(client: Option<&Client>, line: &str) -> Vec<String> {
    let word = line.rsplit(char::is_whitespace).next().unwrap_or_default();
    if !line.trim_start().contains(char::is_whitespace) {
        return commands(word);
    }
    let (Some(client), Some(slash)) = (client, word.rfind('/')) else { return Vec::new() };
    if !word.starts_with('/') || !client.state().is_connected() {
        return Vec::new();
    }
    let parent = if slash == 0 { "/" } else { &word[..slash] };
    // No completion is the answer to every error: the command itself will tell.
    let (names, _) = client.children(parent).await.unwrap_or_default();
    below(parent, word, names)
}

fn commands(prefix: &str) -> Vec<String> {
    let names = GRAMMARS.iter().map(|grammar| grammar.name);
    names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
}

fn below(parent: &str, prefix: &str, mut names: Vec<String>) -> Vec<String> {
    names.sort();
    let paths = names.iter().map(|name| join(parent, name));
    paths.filter(|path| path.starts_with(prefix)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_becomes_a_command() {
        assert_eq!(commands("getA"), ["getAcl", "getAllChildrenNumber"]);
        assert!(commands("x").is_empty());
        assert_eq!(commands("").len(), GRAMMARS.len());
    }

    #[test]
    fn later_words_become_paths() {
        let names = || vec!["beta".to_owned(), "alpha".to_owned(), "bee".to_owned()];
        assert_eq!(below("/", "/b", names()), ["/bee", "/beta"]);
        assert_eq!(below("/x", "/x/", names()), ["/x/alpha", "/x/bee", "/x/beta"]);
    }
}
