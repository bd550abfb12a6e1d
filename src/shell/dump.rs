//! Bytes as a table of hexadecimal numbers beside their characters.

const ROW_BYTES: usize = 16;

/// The table, each line with its end; empty for no bytes.
pub(crate) fn hex(data: &[u8]) -> String {
    if data.is_empty() {
        return String::new();
    }
    let rule = format!("+--------+{}+{}+\n", "-".repeat(49), "-".repeat(16));
    let mut text = format!("         +{}+\n         |", "-".repeat(49));
    for column in 0..ROW_BYTES {
        text.push_str(&format!("  {column:x}"));
    }
    text.push_str(" |\n");
    text.push_str(&rule);
    for (number, row) in data.chunks(ROW_BYTES).enumerate() {
        let numbers: String = row.iter().map(|byte| format!(" {byte:02x}")).collect();
        let shown: String = row.iter().map(|byte| shown_byte(*byte)).collect();
        text.push_str(&format!("|{:08x}|{numbers:<48} |{shown:<16}|\n", number * ROW_BYTES));
    }
    text.push_str(&rule);
    text
}

fn shown_byte(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stand_beside_their_characters() {
        let text = hex(b"data\n0123456789abcdef");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[1], "         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |");
        assert_eq!(
            lines[3],
            "|00000000| 64 61 74 61 0a 30 31 32 33 34 35 36 37 38 39 61 |data.0123456789a|"
        );
        assert_eq!(
            lines[4],
            "|00000010| 62 63 64 65 66                                  |bcdef           |"
        );
        assert_eq!(hex(b""), "");
    }
}
