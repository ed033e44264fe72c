//! Signing in: a password, and where the person has set one up the code of an authenticator app.

use jiff::Timestamp;
use selvedge_model::{
    Brand, PersonId,
    people::{Email, proven_step},
};
use selvedge_store::{
    Result, StoreError, Tx,
    people::{
        Person, Proof,
        logins::Attempt,
        sessions::{Origin, Step},
    },
};

use super::hashing::Busy;
use crate::serve::App;

/// What came of an attempt.
#[derive(Debug)]
pub(crate) enum Login {
    /// Signed in: what the cookie is to hold.
    In(Proof),
    /// The password was right; the code of the app is asked next. What the cookie is to hold until then.
    Second(Proof),
    /// It was not right. What exactly is not said.
    Wrong,
    /// Too many were not right: nothing is looked at before this instant.
    Waits(Timestamp),
    /// Too many passwords are being looked at.
    Busy,
    /// The first step was too long ago.
    Over,
}

impl From<Busy> for Login {
    fn from(_: Busy) -> Self {
        Login::Busy
    }
}

/// Looks at an e-mail address and a password.
pub(crate) async fn with_password(app: &App, email: &str, password: &str, origin: &Origin) -> Result<Login> {
    let attempt = Attempt { email: email.parse::<Email>().ok(), address: origin.address.clone() };
    // The turn is held to the end, so that the count of failures is never more than a few attempts behind.
    let turn = match app.door.hashing.turn().await {
        Ok(turn) => turn,
        Err(busy) => return Ok(busy.into()),
    };
    let (brand, of, now) = (app.brand.clone(), attempt.clone(), app.clock.now());
    let looked = app.store.read(move |view| {
        if let Some(until) = view.login_waits(&of, now)? {
            return Ok(Err(until));
        }
        let person = of.email.as_ref().map_or(Ok(None), |email| view.person_by_email(&brand, email))?;
        let hash = person.as_ref().map_or(Ok(None), |person| view.password_of(person.id))?;
        Ok(Ok((person, hash)))
    });
    let (person, hash) = match looked.await? {
        Ok(found) => found,
        Err(until) => return Ok(Login::Waits(until)),
    };
    let right = turn.verify(password, hash).await;
    let (brand, origin) = (app.brand.clone(), origin.clone());
    let login = app.store.write(move |tx| match person.filter(|person| right && person.disabled_at.is_none()) {
        None => {
            failed(tx, &brand, &attempt, now)?;
            Ok(Login::Wrong)
        }
        Some(person) if person.has_totp => Ok(Login::Second(tx.open_session(person.id, Step::Password, &origin, now)?.1)),
        Some(person) => Ok(Login::In(let_in(tx, &brand, person.id, &person.email, &attempt, &origin, now)?)),
    });
    let login = login.await?;
    drop(turn);
    Ok(login)
}

/// Looks at a code of the app, or a recovery code. All in one write, so that of many codes tried at once each is counted.
pub(crate) async fn with_code(app: &App, half: Proof, typed: &str, origin: &Origin) -> Result<Login> {
    let (brand, now, key) = (app.brand.clone(), app.clock.now(), app.door.key.clone());
    let (typed, origin) = (typed.to_owned(), origin.clone());
    app.store
        .write(move |tx| {
            let Some(found) = tx.session(&brand, &half, Step::Password, now)? else { return Ok(Login::Over) };
            let person = found.person;
            let attempt = Attempt { email: Some(person.email.clone()), address: origin.address.clone() };
            if let Some(until) = tx.login_waits(&attempt, now)? {
                return Ok(Login::Waits(until));
            }
            let by_app = match key.as_deref() {
                Some(key) => match tx.totp_of(person.id, key) {
                    // Sealed under a key that was replaced: a recovery code still opens.
                    Err(error @ StoreError::Unreadable { .. }) => {
                        tracing::warn!(%error, "an authenticator app cannot be asked");
                        None
                    }
                    other => other?,
                },
                None => None,
            };
            let step = by_app.and_then(|(secret, last)| proven_step(&secret, &typed, now, last));
            let right = match step {
                Some(step) => tx.use_totp_step(person.id, step)?,
                None => {
                    let used = tx.use_recovery_code(person.id, &typed)?;
                    if used {
                        let left = tx.recovery_codes_left(person.id)?;
                        let detail = format!("from {}; {left} are left", origin.address);
                        tx.audit(&brand, person.email.as_str(), "login.recovery_code", person.email.as_str(), &detail, now)?;
                    }
                    used
                }
            };
            if !right {
                failed(tx, &brand, &attempt, now)?;
                return Ok(Login::Wrong);
            }
            tx.revoke_session(person.id, found.id)?;
            Ok(Login::In(let_in(tx, &brand, person.id, &person.email, &attempt, &origin, now)?))
        })
        .await
}

/// Opens the session of a person who has proven everything. It is a new one, whatever the browser showed before.
pub(crate) fn let_in(
    tx: &Tx<'_>,
    brand: &Brand,
    person: PersonId,
    email: &Email,
    attempt: &Attempt,
    origin: &Origin,
    now: Timestamp,
) -> Result<Proof> {
    tx.login_succeeded(person, attempt, now)?;
    let (session, proof) = tx.open_session(person, Step::All, origin, now)?;
    tx.audit(brand, email.as_str(), "login", &session.to_string(), &format!("from {}", origin.address), now)?;
    Ok(proof)
}

/// Counts a failure. The first one past what is free is audited for the whole series: guessing must not fill the log.
fn failed(tx: &Tx<'_>, brand: &Brand, attempt: &Attempt, now: Timestamp) -> Result<()> {
    if let Some(count) = tx.login_failed(attempt, now)? {
        let subject = attempt.email.as_ref().map_or("", Email::as_str);
        let detail = format!("{count} log-ins in a row have failed, the last from {}; further ones wait", attempt.address);
        tx.audit(brand, "nobody", "login.failed", subject, &detail, now)?;
    }
    Ok(())
}

/// Whether somebody who is signed in still knows the password.
#[derive(Debug)]
pub(crate) enum Still {
    /// It is them.
    Yes,
    /// It is not the password.
    No,
    /// Too many attempts: in so many seconds.
    Later(i64),
}

/// Asks for the password once more, before something that a borrowed browser must not do. Failures count as they do at the door.
pub(crate) async fn still(app: &App, person: &Person, password: &str, origin: &Origin) -> Result<Still> {
    let attempt = Attempt { email: Some(person.email.clone()), address: origin.address.clone() };
    let Ok(turn) = app.door.hashing.turn().await else { return Ok(Still::Later(1)) };
    let (of, id, now) = (attempt.clone(), person.id, app.clock.now());
    let (until, hash) = app.store.read(move |view| Ok((view.login_waits(&of, now)?, view.password_of(id)?))).await?;
    if let Some(until) = until {
        return Ok(Still::Later(until.duration_since(now).as_secs().max(0) + 1));
    }
    if turn.verify(password, hash).await {
        return Ok(Still::Yes);
    }
    let brand = app.brand.clone();
    app.store.write(move |tx| failed(tx, &brand, &attempt, now)).await?;
    Ok(Still::No)
}
