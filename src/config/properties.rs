//! The file format of Java's properties, in which every zoo.cfg is written: comments by `#` or `!`,
//! a key ended by `=`, `:` or blanks, lines continued by `\`, and escapes. Knows no key's meaning.

/// One key and value, with the number of the line the key stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Property {
    pub(crate) line: usize,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// Reads every property, in the order of the file. Any text is a valid file.
pub(crate) fn read(text: &str) -> Vec<Property> {
    logical_lines(text).into_iter().map(|(line, text)| split(line, &text)).collect()
}

/// Lines with their continuations joined; without blank lines and comments.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, raw) in text.lines().enumerate() {
        let part = raw.trim_start_matches([' ', '\t', '\x0c']);
        if open.is_none() && (part.is_empty() || part.starts_with(['#', '!'])) {
            continue;
        }
        let (number, mut line) = open.take().unwrap_or((index + 1, String::new()));
        let backslashes = part.bytes().rev().take_while(|byte| *byte == b'\\').count();
        if backslashes % 2 == 1 {
            line.push_str(&part[..part.len() - 1]);
            open = Some((number, line));
        } else {
            line.push_str(part);
            lines.push((number, line));
        }
    }
    lines.extend(open);
    lines
}

fn split(line: usize, text: &str) -> Property {
    let mut escaped = false;
    let end = text
        .char_indices()
        .find(|(_, character)| {
            let ends = !escaped && matches!(character, '=' | ':' | ' ' | '\t' | '\x0c');
            escaped = !escaped && *character == '\\';
            ends
        })
        .map_or(text.len(), |(index, _)| index);
    let (key, rest) = text.split_at(end);
    let rest = rest.trim_start_matches([' ', '\t', '\x0c']);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    // ZooKeeper trims values, blanks at the end included.
    Property { line, key: unescape(key), value: unescape(value).trim().to_owned() }
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\x0c'),
            Some('u') => plain.push(unicode(&mut characters)),
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

/// Four hexadecimal digits; the replacement character when they name none.
fn unicode(characters: &mut std::str::Chars<'_>) -> char {
    let digits: String = characters.by_ref().take(4).collect();
    let code = u32::from_str_radix(&digits, 16).ok();
    code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(usize, String, String)> {
        read(text).into_iter().map(|found| (found.line, found.key, found.value)).collect()
    }

    fn one(line: usize, key: &str, value: &str) -> (usize, String, String) {
        (line, key.to_owned(), value.to_owned())
    }

    #[test]
    fn keys_end_at_equals_colon_or_blank() {
        let text = "# first\ntickTime=2000\n! second\ninitLimit : 10\nsyncLimit 5 \n";
        let expected =
            vec![one(2, "tickTime", "2000"), one(4, "initLimit", "10"), one(5, "syncLimit", "5")];
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn lines_continue_and_escapes_mean_what_they_do_in_java() {
        let text = "words=a,\\\r\n   b\r\npath=C\\:\\\\data\\u0041\r\nlast=1";
        let expected =
            vec![one(1, "words", "a,b"), one(3, "path", "C:\\dataA"), one(4, "last", "1")];
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn nothing_is_too_odd_to_read() {
        for text in ["\\", "=\\u12", "a\\", "\\u", "\u{fffd}=\u{1f600}\\", "\r\r\n\n"] {
            read(text);
        }
    }
}
