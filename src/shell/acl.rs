//! ACLs as text: `scheme:id:perms`, several separated by commas. An id may hold colons.

use crate::client::{Acl, Perms};

const LETTERS: [(char, Perms); 5] = [
    ('c', Perms::CREATE),
    ('d', Perms::DELETE),
    ('r', Perms::READ),
    ('w', Perms::WRITE),
    ('a', Perms::ADMIN),
];

/// Reads ACLs; the error is for the user.
pub(crate) fn parse(text: &str) -> Result<Vec<Acl>, String> {
    text.split(',').map(|entry| parse_entry(entry.trim())).collect()
}

fn parse_entry(entry: &str) -> Result<Acl, String> {
    let malformed = || format!("{entry} does not have the form scheme:id:perm");
    let (scheme, rest) = entry.split_once(':').ok_or_else(malformed)?;
    let (id, letters) = rest.rsplit_once(':').ok_or_else(malformed)?;
    let mut perms = Perms(0);
    for letter in letters.chars() {
        let known = LETTERS.iter().find(|(known, _)| *known == letter);
        let (_, bit) = known.ok_or(format!("Unknown perm type: {letter}"))?;
        perms.0 |= bit.0;
    }
    Ok(Acl { perms, scheme: scheme.to_owned(), id: id.to_owned() })
}

/// The letters of some permissions, in zkCli's order.
pub(crate) fn letters(perms: Perms) -> String {
    LETTERS.iter().filter(|(_, bit)| perms.intersects(*bit)).map(|(letter, _)| letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acl_survives_the_way_through_text() {
        let acl = parse("world:anyone:r,digest:u:h=:cdrwa,auth::rw").expect("parses");
        let shown: Vec<String> = acl
            .iter()
            .map(|acl| format!("{} {} {}", acl.scheme, acl.id, letters(acl.perms)))
            .collect();
        assert_eq!(shown, ["world anyone r", "digest u:h= cdrwa", "auth  rw"]);
    }

    #[test]
    fn a_bad_acl_is_refused_with_its_reason() {
        assert_eq!(parse("foo"), Err("foo does not have the form scheme:id:perm".into()));
        assert_eq!(
            parse("world:anyone"),
            Err("world:anyone does not have the form scheme:id:perm".into())
        );
        assert_eq!(parse("world:anyone:q"), Err("Unknown perm type: q".into()));
    }
}
