//! People: who may do what, how they prove who they are, and which acts take two of them.
//!
//! What a role may do is one table, [`Role::rights`]. A person has roles at each brand; what they may do there is
//! everything that any of them allows. A token of the API has rights of its own, and never more than its person.

mod act;
mod password;
mod totp;

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use self::{
    act::{Act, FourEyes, MapEntry},
    password::{PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, fit_password},
    totp::{SECRET_BYTES as TOTP_SECRET_BYTES, base32, code as totp_code, otpauth, proven_step, step_of},
};

/// The longest name of a person, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// The longest e-mail address, in bytes (RFC 5321).
const EMAIL_BYTES_MAX: usize = 254;

/// Something that may be done. A token's scopes are these words, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// See every page, and read the API.
    Read,
    /// Release and dismiss what an exception holds.
    Act,
    /// Set and remove mappings.
    Map,
    /// Approve that a period is signed or restated.
    Close,
    /// Read the metrics.
    Metrics,
    /// Invite people, give roles, and say which acts take two.
    People,
}

impl Right {
    /// All of them.
    pub const ALL: [Right; 6] = [Right::Read, Right::Act, Right::Map, Right::Close, Right::Metrics, Right::People];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Act => "act",
            Right::Map => "map",
            Right::Close => "close",
            Right::Metrics => "metrics",
            Right::People => "people",
        }
    }

    /// What people read.
    pub const fn says(self) -> &'static str {
        match self {
            Right::Read => "see every page and read the API",
            Right::Act => {
                "release, dismiss, edit, hand over and snooze what exceptions hold, acknowledge alerts, tick and sign checklists, pause and resume flows, sweep again"
            }
            Right::Map => "set and remove mappings",
            Right::Close => "approve that a period is signed or restated",
            Right::Metrics => "read the metrics",
            Right::People => "invite people, give roles, and say which acts take two",
        }
    }

    /// The right with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.word() == word)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What somebody is to a brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Unsticks what is stuck.
    Operator,
    /// Closes the month.
    Finance,
    /// Connects systems, and watches them.
    Engineer,
    /// Everything, and who else may.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 5] = [Role::Viewer, Role::Operator, Role::Finance, Role::Engineer, Role::Admin];

    /// What it may do: the one table.
    pub const fn rights(self) -> &'static [Right] {
        match self {
            Role::Viewer => &[Right::Read],
            Role::Operator => &[Right::Read, Right::Act, Right::Map],
            Role::Finance => &[Right::Read, Right::Act, Right::Close],
            Role::Engineer => &[Right::Read, Right::Act, Right::Map, Right::Metrics],
            Role::Admin => &Right::ALL,
        }
    }

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Finance => "finance",
            Role::Engineer => "engineer",
            Role::Admin => "admin",
        }
    }

    /// What people read.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Viewer => "Viewer",
            Role::Operator => "Operator",
            Role::Finance => "Finance",
            Role::Engineer => "Engineer",
            Role::Admin => "Admin",
        }
    }

    /// The role with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A set of rights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Rights(BTreeSet<Right>);

impl Rights {
    /// What these roles may do together.
    pub fn of(roles: &BTreeSet<Role>) -> Self {
        roles.iter().flat_map(|role| role.rights()).copied().collect()
    }

    /// Whether it is one of them.
    pub fn has(&self, right: Right) -> bool {
        self.0.contains(&right)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What both allow.
    #[must_use]
    pub fn and(&self, other: &Rights) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }

    /// All of them, in the order of [`Right::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = Right> {
        self.0.iter().copied()
    }

    /// The words, with a blank between them.
    pub fn words(&self) -> String {
        self.0.iter().map(|right| right.word()).collect::<Vec<_>>().join(" ")
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().collect())
    }
}

/// Why a text about a person cannot be taken, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub &'static str);

/// The e-mail address by which somebody is known: in small letters, one `@`, nothing that a page or a log would stumble over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Unfit> {
        const UNLIKE: Unfit = Unfit("This is no e-mail address; it should look like anna@example.com.");
        let text = text.trim().to_lowercase();
        let (name, domain) = text.split_once('@').ok_or(UNLIKE)?;
        let allowed = |c: char| c.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
        let fits = !name.is_empty()
            && !domain.is_empty()
            && text.len() <= EMAIL_BYTES_MAX
            && name.chars().all(allowed)
            && domain.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '-');
        if fits { Ok(Self(text)) } else { Err(UNLIKE) }
    }
}

impl TryFrom<String> for Email {
    type Error = Unfit;
    fn try_from(text: String) -> Result<Self, Unfit> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> String {
        email.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name for people to read, of a person or of a token.
///
/// # Errors
/// Empty, too long, or with characters that cannot be seen: in a list of acts nobody must look like somebody else.
pub fn fit_name(text: &str) -> Result<String, Unfit> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Unfit("Give a name."));
    }
    if text.chars().count() > NAME_CHARS_MAX {
        return Err(Unfit("A name has at most 100 characters."));
    }
    // Controls, marks of direction, and what takes no room.
    let unseen = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if text.chars().any(unseen) {
        return Err(Unfit("A name has no characters that cannot be seen."));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_reads_and_only_admins_say_who_may() {
        for role in Role::ALL {
            assert!(role.rights().contains(&Right::Read), "{role}");
            assert_eq!(role.rights().contains(&Right::People), role == Role::Admin, "{role}");
            assert_eq!(Role::from_word(role.word()), Some(role));
        }
        assert_eq!(Role::Admin.rights(), Right::ALL);
        for right in Right::ALL {
            assert!(Role::ALL.into_iter().any(|role| role.rights().contains(&right)), "{right}: nobody may");
            assert_eq!(Right::from_word(right.word()), Some(right));
        }
    }

    #[test]
    fn roles_add_up_and_a_token_never_has_more_than_its_person() {
        let both = Rights::of(&[Role::Operator, Role::Finance].into());
        assert_eq!(both.words(), "read act map close");
        let token: Rights = [Right::Read, Right::People].into_iter().collect();
        assert_eq!(token.and(&both).words(), "read");
        assert!(Rights::of(&BTreeSet::new()).is_empty());
    }

    #[test]
    fn addresses_are_one_whatever_the_case_and_carry_nothing_else() {
        assert_eq!(" Anna.Berg+x@Example.COM ".parse::<Email>().unwrap().as_str(), "anna.berg+x@example.com");
        for wrong in [
            "",
            "anna",
            "@example.com",
            "anna@",
            "a@b@c",
            "anna berg@example.com",
            "anna@exa mple.com",
            "a\n@b.c",
            "<script>@b.c",
            "a\"b@c.d",
            "a\u{202e}@b.c",
        ] {
            assert!(wrong.parse::<Email>().is_err(), "{wrong:?}");
        }
        assert!(format!("{}@b.c", "a".repeat(300)).parse::<Email>().is_err());
    }

    #[test]
    fn a_name_can_be_seen() {
        assert_eq!(fit_name("  Åsa Öberg ").unwrap(), "Åsa Öberg");
        for wrong in ["", "  ", "a\nb", "a\u{202e}b", "a\u{200b}b", "a\u{feff}b", &"x".repeat(101)] {
            assert!(fit_name(wrong).is_err(), "{wrong:?}");
        }
    }
}
