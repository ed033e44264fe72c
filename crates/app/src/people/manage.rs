//! What an admin, or whoever has the machine, does about people. Page and command line call these; each is audited.

use std::collections::BTreeSet;

use jiff::Timestamp;
use selvedge_flow::actions::Actor;
use selvedge_model::{
    Brand, PersonId, TokenId,
    people::{Email, Role},
};
use selvedge_store::{
    Result, Store, StoreError, Tx,
    people::{Person, Proof, links::Link},
};

/// Invites somebody: the link by which they set a password. Who is known by this address already is only given the roles, besides
/// those they have: `None`.
pub(crate) async fn invite(
    store: &Store,
    brand: &Brand,
    by: &Actor,
    email: &Email,
    name: &str,
    roles: BTreeSet<Role>,
    now: Timestamp,
) -> Result<Option<Proof>> {
    let (brand, by, email, name) = (brand.clone(), by.clone(), email.clone(), name.to_owned());
    store
        .write(move |tx| {
            let words = words(&roles);
            if let Some(person) = tx.person_by_email(&brand, &email)? {
                let all = &person.roles | &roles;
                tx.set_roles(person.id, &brand, &all)?;
                tx.audit(&brand, &by, "people.roles", email.as_str(), &format!("added: {words}"), now)?;
                return Ok(None);
            }
            let id = tx.add_person(&email, &name, now)?;
            tx.set_roles(id, &brand, &roles)?;
            tx.audit(&brand, &by, "people.invite", email.as_str(), &format!("{name}: {words}"), now)?;
            tx.make_link(Link::Password(id), now).map(Some)
        })
        .await
}

fn words(roles: &BTreeSet<Role>) -> String {
    if roles.is_empty() { "no role".to_owned() } else { roles.iter().map(|role| role.word()).collect::<Vec<_>>().join(", ") }
}

/// Sets what somebody is to a brand.
///
/// # Errors
/// [`StoreError::Forbidden`] when nobody would be left who may say who may.
pub(crate) async fn set_roles(
    store: &Store,
    brand: &Brand,
    by: &Actor,
    id: PersonId,
    roles: BTreeSet<Role>,
    now: Timestamp,
) -> Result<()> {
    let (brand, by) = (brand.clone(), by.clone());
    store
        .write(move |tx| {
            let person = seen(tx, &brand, &by, id)?;
            let admin = tx.has_admin(&brand)?;
            tx.set_roles(id, &brand, &roles)?;
            still_has_admin(tx, &brand, admin)?;
            let detail = format!("{}, was {}", words(&roles), words(&person.roles));
            tx.audit(&brand, &by, "people.roles", person.email.as_str(), &detail, now)
        })
        .await
}

/// Takes an account out of use, or puts it in use again.
///
/// # Errors
/// [`StoreError::Forbidden`] when it is used at other brands, too, or nobody would be left who may say who may.
pub(crate) async fn set_disabled(
    store: &Store,
    brand: &Brand,
    by: &Actor,
    id: PersonId,
    disabled: bool,
    now: Timestamp,
) -> Result<()> {
    let (brand, by) = (brand.clone(), by.clone());
    store
        .write(move |tx| {
            let person = ours(tx, &brand, &by, id)?;
            let admin = tx.has_admin(&brand)?;
            tx.set_disabled(id, disabled.then_some(now))?;
            still_has_admin(tx, &brand, admin)?;
            let action = if disabled { "people.disable" } else { "people.enable" };
            tx.audit(&brand, &by, action, person.email.as_str(), "", now)
        })
        .await
}

/// A link by which somebody sets a new password; the old one is good until then.
///
/// # Errors
/// [`StoreError::Forbidden`] when the account is used at other brands, too, or is out of use.
pub(crate) async fn reset(
    store: &Store,
    brand: &Brand,
    by: &Actor,
    id: PersonId,
    forget_totp: bool,
    now: Timestamp,
) -> Result<(Person, Proof)> {
    let (brand, by) = (brand.clone(), by.clone());
    store
        .write(move |tx| {
            let person = ours(tx, &brand, &by, id)?;
            if person.disabled_at.is_some() {
                return Err(StoreError::Forbidden("The account is out of use: put it in use again first.".to_owned()));
            }
            if forget_totp {
                tx.remove_totp(id)?;
            }
            let detail = if forget_totp {
                "a link to a new password; the authenticator app is forgotten"
            } else {
                "a link to a new password"
            };
            tx.audit(&brand, &by, "people.reset", person.email.as_str(), detail, now)?;
            let link = tx.make_link(Link::Password(id), now)?;
            Ok((person, link))
        })
        .await
}

/// Ends all sessions and tokens of somebody; how many of each.
///
/// # Errors
/// [`StoreError::Forbidden`] when the account is used at other brands, too.
pub(crate) async fn revoke_sessions(
    store: &Store,
    brand: &Brand,
    by: &Actor,
    id: PersonId,
    now: Timestamp,
) -> Result<(u64, u64)> {
    let (brand, by) = (brand.clone(), by.clone());
    store
        .write(move |tx| {
            let person = ours(tx, &brand, &by, id)?;
            let (sessions, tokens) = (tx.revoke_sessions(id, None)?, tx.revoke_tokens(id)?);
            let detail = format!("all; sessions: {sessions}, tokens: {tokens}");
            tx.audit(&brand, &by, "session.revoke", person.email.as_str(), &detail, now)?;
            Ok((sessions, tokens))
        })
        .await
}

/// Ends a token of somebody at a brand; whether there was one.
pub(crate) async fn revoke_token(
    store: &Store,
    brand: &Brand,
    by: &Actor,
    id: PersonId,
    token: TokenId,
    now: Timestamp,
) -> Result<bool> {
    let (brand, by) = (brand.clone(), by.clone());
    store
        .write(move |tx| {
            let Some(name) = tx.revoke_token(&brand, id, token)? else { return Ok(false) };
            tx.audit(&brand, &by, "token.revoke", &token.to_string(), &name, now)?;
            Ok(true)
        })
        .await
}

/// The person, as far as this brand sees them. Whoever has the machine sees everybody.
fn seen(tx: &Tx<'_>, brand: &Brand, by: &Actor, id: PersonId) -> Result<Person> {
    if by.person.is_none() { tx.person(brand, id) } else { tx.person_seen_by(brand, id) }
}

/// The person, if their account is this brand's alone: an admin of one brand must not become somebody of another.
fn ours(tx: &Tx<'_>, brand: &Brand, by: &Actor, id: PersonId) -> Result<Person> {
    let person = seen(tx, brand, by, id)?;
    if by.person.is_some() && !tx.is_of_brand_alone(id, brand)? {
        return Err(StoreError::Forbidden(
            "The account is used at other brands, too. That is for selvedge people, on the machine.".to_owned(),
        ));
    }
    Ok(person)
}

fn still_has_admin(tx: &Tx<'_>, brand: &Brand, before: bool) -> Result<()> {
    if before && !tx.has_admin(brand)? {
        return Err(StoreError::Forbidden("Somebody has to stay admin who can sign in. Name another one first.".to_owned()));
    }
    Ok(())
}
