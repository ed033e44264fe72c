//! What a password must be like, after NIST SP 800-63B-4: long, nothing that a stranger tries first, and no rule about
//! which signs it is made of. It is never asked to be changed for its age.

use super::{Email, Unfit};

/// The shortest password, in characters: what 800-63B asks for where a password alone may open the door.
pub const PASSWORD_CHARS_MIN: usize = 15;
/// The longest: hashing costs the same for any length, reading does not.
pub const PASSWORD_CHARS_MAX: usize = 256;
/// So many characters must be left when what anybody would guess is taken out.
const OWN_CHARS_MIN: usize = 8;
/// So many different ones among them.
const DIFFERENT_CHARS_MIN: usize = 5;

/// What strangers try first.
const GUESSED: [&str; 16] = [
    "selvedge",
    "password",
    "passwort",
    "losenord",
    "lösenord",
    "qwertyuiop",
    "qwerty",
    "asdfghjkl",
    "zxcvbnm",
    "letmein",
    "welcome",
    "iloveyou",
    "1234567890",
    "12345678",
    "123456",
    "abcdefgh",
];

/// Whether a password may be set for this person.
///
/// # Errors
/// Why not, and what would do.
pub fn fit_password(text: &str, email: &Email, name: &str) -> Result<(), Unfit> {
    let chars = text.chars().count();
    if chars < PASSWORD_CHARS_MIN {
        return Err(Unfit("A password has at least 15 characters. Four or five words that do not belong together do well."));
    }
    if chars > PASSWORD_CHARS_MAX {
        return Err(Unfit("A password has at most 256 characters."));
    }
    let mut own = text.to_lowercase();
    let name = name.to_lowercase();
    let of_person = email.as_str().split(['@', '.', '+', '-', '_']).chain(name.split_whitespace());
    for guessed in of_person.filter(|part| part.chars().count() >= 3).chain(GUESSED) {
        own = own.replace(guessed, "");
    }
    let different: std::collections::BTreeSet<char> = own.chars().collect();
    if own.chars().count() < OWN_CHARS_MIN || different.len() < DIFFERENT_CHARS_MIN {
        return Err(Unfit(
            "This is among the first that a stranger would try: it is made of your name, of one sign again and again, or of a word that everybody takes. Four or five words that do not belong together do well.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_not_guessed_is_enough() {
        let fits = |text: &str| fit_password(text, &"anna.berg@example.com".parse().unwrap(), "Anna Berg").is_ok();
        for good in
            ["correct horse battery", "漆黒の馬は正しい電池のホチキスを食べた", "kWx8#mZ!pQ2vLr9t", "annas gamla båt seglar än"]
        {
            assert!(fits(good), "{good}");
        }
        for bad in [
            "",
            "short",
            "fourteen chars",
            "aaaaaaaaaaaaaaaaaaaa",
            "ababababababababab",
            "PasswordPassword1",
            "annabergannaberg1",
            "anna.berg@example.com",
            "1234567890123456",
            "selvedgeselvedge!",
            &"x y z ä ö å ".repeat(40),
        ] {
            assert!(!fits(bad), "{bad}");
        }
    }
}
