//! From a typed line to words, and from words to flags and arguments.
//!
//! Flags may stand anywhere, single letters may be joined, and `--` ends them, as in zkCli.
//! Nothing in here knows a command.

use std::collections::BTreeMap;

/// The words of a line; a part in single or double quotes is one word without its quotes.
pub(crate) fn split_line(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The flags of one command, without their dash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// Those that stand alone.
    pub(crate) plain: &'static [&'static str],
    /// Those that take the next word.
    pub(crate) valued: &'static [&'static str],
}

/// A command's words, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    flags: BTreeMap<&'static str, String>,
    /// What is not a flag, in order.
    pub(crate) arguments: Vec<String>,
}

impl Words {
    /// Sorts what follows a command's name; the error is for the user.
    pub(crate) fn parse(words: &[String], flags: Flags) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if word == "--" {
                parsed.arguments.extend(rest.cloned());
                break;
            }
            match word.strip_prefix('-') {
                Some(flag) if looks_like_flag(flag) => parsed.take_flag(flag, flags, &mut rest)?,
                Some(_) | None => parsed.arguments.push(word.clone()),
            }
        }
        Ok(parsed)
    }

    /// Whether a flag was given.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.contains_key(flag)
    }

    /// A flag's value.
    pub(crate) fn value(&self, flag: &str) -> Option<&str> {
        self.flags.get(flag).map(String::as_str)
    }

    /// A flag's value as a number; the error is for the user.
    pub(crate) fn number<T: std::str::FromStr>(&self, flag: &str) -> Result<Option<T>, String> {
        let Some(text) = self.value(flag) else { return Ok(None) };
        text.parse().map(Some).map_err(|_invalid| format!("-{flag} argument must be a number"))
    }

    fn take_flag<'a>(
        &mut self,
        text: &str,
        flags: Flags,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), String> {
        if let Some(flag) = find(flags.valued, text) {
            let value = rest.next().ok_or(format!("Missing argument for option: {text}"))?;
            self.flags.insert(flag, value.clone());
            return Ok(());
        }
        if let Some(flag) = find(flags.plain, text) {
            self.flags.insert(flag, String::new());
            return Ok(());
        }
        let first = text.chars().next().map_or(0, char::len_utf8);
        if let Some(flag) = find(flags.valued, &text[..first]) {
            self.flags.insert(flag, text[first..].to_owned());
            return Ok(());
        }
        for letter in text.chars() {
            let flag = find(flags.plain, letter.encode_utf8(&mut [0; 4]))
                .ok_or(format!("Unrecognized option: -{text}"))?;
            self.flags.insert(flag, String::new());
        }
        Ok(())
    }
}

fn find(flags: &'static [&'static str], text: &str) -> Option<&'static str> {
    flags.iter().copied().find(|flag| *flag == text)
}

/// A lone dash is data, and so is a negative number.
fn looks_like_flag(text: &str) -> bool {
    text.chars().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: Flags = Flags { plain: &["s", "w"], valued: &["v", "file"] };

    fn parse(line: &str) -> Result<Words, String> {
        Words::parse(&split_line(line), FLAGS)
    }

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(split_line(" set  /a 'b c' \"\" d\"e f\" "), ["set", "/a", "b c", "", "de f"]);
        assert!(split_line("  ").is_empty());
    }

    #[test]
    fn flags_stand_anywhere() {
        let words = parse("/a -s data -v 7").expect("parses");
        assert_eq!(words.arguments, ["/a", "data"]);
        assert!(words.has("s") && !words.has("w"));
        assert_eq!(words.number("v"), Ok(Some(7)));
        let words = parse("-sw -v-1 -file x -- -s -5").expect("parses");
        assert!(words.has("s") && words.has("w"));
        assert_eq!((words.number("v"), words.value("file")), (Ok(Some(-1)), Some("x")));
        assert_eq!(words.arguments, ["-s", "-5"]);
        assert_eq!(parse("-5 -").expect("parses").arguments, ["-5", "-"]);
    }

    #[test]
    fn wrong_flags_are_named() {
        assert_eq!(parse("-z"), Err("Unrecognized option: -z".into()));
        assert_eq!(parse("-v"), Err("Missing argument for option: v".into()));
        let words = parse("-v x").expect("parses");
        assert_eq!(words.number::<i32>("v"), Err("-v argument must be a number".into()));
    }
}
