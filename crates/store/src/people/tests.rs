//! What the door lets through, and how often.

use std::time::Duration;

use selvedge_model::{
    ExceptionId,
    people::{Act, FourEyes, Right},
};

use super::{
    approvals::{Decision, State},
    links::Link,
    logins::Attempt,
    sessions::{Origin, Step},
    *,
};
use crate::samples::{at, brand, memory, now};

fn email(text: &str) -> Email {
    text.parse().unwrap()
}

fn anna(tx: &Tx<'_>, roles: &[Role]) -> Result<PersonId> {
    let id = tx.add_person(&email("anna@example.com"), "Anna", now())?;
    tx.set_roles(id, &brand(), &roles.iter().copied().collect())?;
    Ok(id)
}

fn later(seconds: u64) -> Timestamp {
    now() + Duration::from_secs(seconds)
}

#[tokio::test]
async fn roles_are_of_one_brand_and_end_with_the_person() {
    let store = memory().await;
    store
        .write(|tx| {
            let id = anna(tx, &[Role::Operator, Role::Finance])?;
            assert!(matches!(tx.add_person(&email("ANNA@example.com"), "Other", now()), Err(StoreError::Taken(_))));
            assert_eq!(tx.person(&brand(), id)?.rights().words(), "read act map close");
            assert!(tx.person(&"other".into(), id)?.rights().is_empty());
            assert!(!tx.has_admin(&brand())?);
            tx.set_roles(id, &brand(), &[Role::Admin].into())?;
            assert!(!tx.has_admin(&brand())?, "without a way to sign in she is no admin yet");
            tx.set_password(id, "$argon2id$x")?;
            assert!(tx.has_admin(&brand())? && !tx.has_admin(&"other".into())?);
            let (_, cookie) = tx.open_session(id, Step::All, &Origin::default(), now())?;
            let (_, token) = tx.make_token(&brand(), id, "ci", &[Right::Read].into_iter().collect(), later(99), now())?;
            tx.set_disabled(id, Some(now()))?;
            assert!(tx.person(&brand(), id)?.rights().is_empty() && !tx.has_admin(&brand())?);
            assert!(tx.session(&brand(), &cookie, Step::All, now())?.is_none());
            assert!(tx.token(&brand(), &token, now())?.is_none());
            tx.set_disabled(id, None)?;
            assert!(tx.session(&brand(), &cookie, Step::All, now())?.is_none(), "signed out for good");
            assert!(matches!(tx.person(&brand(), PersonId(99)), Err(StoreError::Absent(_))));
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_session_ends_by_itself_and_by_hand() {
    let store = memory().await;
    store
        .write(|tx| {
            let id = anna(tx, &[Role::Viewer])?;
            let good =
                |cookie: &Proof, at: u64| Ok::<_, StoreError>(tx.session(&brand(), cookie, Step::All, later(at))?.is_some());
            let (session, cookie) = tx.open_session(id, Step::All, &Origin::default(), now())?;
            assert!(good(&cookie, 7_199)? && !good(&cookie, 7_200)?, "two hours without use");
            // Used every hour it lasts a working day, and no longer.
            for hour in 1..=12 {
                tx.use_session(session, later(hour * 3_600))?;
            }
            assert!(good(&cookie, 43_199)? && !good(&cookie, 43_200)?);
            let found = tx.session(&brand(), &cookie, Step::All, later(43_199))?.unwrap();
            assert!(!found.stale, "used less than a minute ago");

            // The first step opens nothing, and not for long.
            let (_, half) = tx.open_session(id, Step::Password, &Origin::default(), now())?;
            assert!(!good(&half, 0)?);
            assert!(tx.session(&brand(), &half, Step::Password, later(299))?.is_some());
            assert!(tx.session(&brand(), &half, Step::Password, later(300))?.is_none());
            assert!(tx.session(&brand(), &cookie, Step::Password, now())?.is_none(), "nor is a whole one a half one");

            let bo = tx.add_person(&email("bo@example.com"), "Bo", now())?;
            assert!(!tx.revoke_session(bo, session)?, "not somebody else's");
            let (kept, other) = tx.open_session(id, Step::All, &Origin::default(), now())?;
            assert_eq!(tx.revoke_sessions(id, Some(kept))?, 2, "the whole one and the half one");
            assert!(good(&other, 0)? && !good(&cookie, 0)?);
            for n in 0..60 {
                tx.open_session(id, Step::All, &Origin { address: format!("{n}"), agent: "x".repeat(999) }, now())?;
            }
            let open = tx.sessions(id, now())?;
            assert_eq!(open.len(), 50, "the oldest had to go");
            assert_eq!((open[0].address.as_str(), open[0].agent.len()), ("59", 200));
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn nothing_in_the_file_proves_anybody() {
    let store = memory().await;
    store
        .write(|tx| {
            let (key, _) = SealingKey::generate();
            let id = anna(tx, &[Role::Admin])?;
            let (_, cookie) = tx.open_session(id, Step::All, &Origin::default(), now())?;
            let (_, token) = tx.make_token(&brand(), id, "ci", &Rights::default(), later(9), now())?;
            let link = tx.make_link(Link::Password(id), now())?;
            tx.set_totp(id, b"twenty bytes of secret", &key)?;
            let codes = tx.renew_recovery_codes(id)?;
            let mut proofs: Vec<String> =
                vec![cookie.text().into(), token.text().into(), link.text().into(), "twenty bytes of".into()];
            proofs.extend(codes.iter().flat_map(|code| [code.clone(), code.replace('-', "")]));
            let mut tables = tx.connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
            let tables = tables.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
            for table in tables {
                let mut statement = tx.connection.prepare(&format!("SELECT * FROM {table}"))?;
                let columns = statement.column_count();
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    for column in 0..columns {
                        let bytes = match row.get_ref(column)? {
                            rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => bytes.to_vec(),
                            _ => continue,
                        };
                        for proof in &proofs {
                            assert!(!bytes.windows(proof.len()).any(|part| part == proof.as_bytes()), "{table} shows a proof");
                        }
                    }
                }
            }
            assert_eq!(format!("{cookie:?}"), "Proof(…)");
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_link_is_good_once_and_the_newest_alone() {
    let store = memory().await;
    store
        .write(|tx| {
            let id = anna(tx, &[])?;
            let first = tx.make_link(Link::Password(id), now())?;
            let second = tx.make_link(Link::Password(id), now())?;
            let setup = tx.make_link(Link::Setup(brand()), now())?;
            assert_eq!(tx.link(&first, now())?, None);
            assert_eq!(tx.link(&second, now())?, Some(Link::Password(id)));
            assert_eq!(tx.link(&second, later(72 * 3_600))?, None);
            assert_eq!((tx.link(&setup, later(3_599))?, tx.link(&setup, later(3_600))?), (Some(Link::Setup(brand())), None));
            assert_eq!(tx.use_link(&second, now())?, Some(Link::Password(id)));
            assert_eq!(tx.use_link(&second, now())?, None);
            assert_eq!(tx.use_link(&setup, later(3_600))?, None, "too late");
            assert_eq!(tx.use_link(&setup, now())?, None, "and gone with the try");
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn codes_serve_once() {
    let store = memory().await;
    store
        .write(|tx| {
            let (key, _) = SealingKey::generate();
            let (id, bo) = (anna(tx, &[])?, tx.add_person(&email("bo@example.com"), "Bo", now())?);
            assert!(!tx.use_totp_step(id, 5)?, "there is no app");
            tx.set_totp(id, b"secret", &key)?;
            assert_eq!(tx.totp_of(id, &key)?, Some((b"secret".to_vec(), None)));
            assert!(!tx.person(&brand(), id)?.has_totp, "it has not proven itself");
            assert!(
                tx.use_totp_step(id, 5)? && !tx.use_totp_step(id, 5)? && !tx.use_totp_step(id, 4)? && tx.use_totp_step(id, 6)?
            );
            assert!(tx.person(&brand(), id)?.has_totp);
            assert!(tx.totp_of(id, &SealingKey::generate().0).is_err());
            // Another person's seal in one's own row opens nothing.
            tx.set_totp(bo, b"other", &key)?;
            tx.connection
                .execute("UPDATE people SET totp = (SELECT totp FROM people WHERE id = ?1) WHERE id = ?2", params![id.0, bo.0])?;
            assert!(tx.totp_of(bo, &key).is_err());

            let codes = tx.renew_recovery_codes(id)?;
            assert_eq!((codes.len(), codes[0].len()), (RECOVERY_CODES, 19));
            assert!(!tx.use_recovery_code(bo, &codes[0])?, "not somebody else's");
            assert!(tx.use_recovery_code(id, &codes[0].to_uppercase().replace('-', " "))?);
            assert!(!tx.use_recovery_code(id, &codes[0])? && !tx.use_recovery_code(id, "")?);
            assert_eq!(tx.recovery_codes_left(id)?, 9);
            tx.renew_recovery_codes(id)?;
            assert!(!tx.use_recovery_code(id, &codes[1])?, "the old ones are gone");
            tx.remove_totp(id)?;
            assert_eq!((tx.recovery_codes_left(id)?, tx.totp_of(id, &key)?), (0, None));
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_token_is_of_one_brand_and_ends() {
    let store = memory().await;
    store
        .write(|tx| {
            let id = anna(tx, &[Role::Viewer])?;
            let scopes: Rights = [Right::Read, Right::Act].into_iter().collect();
            let (token, proof) = tx.make_token(&brand(), id, "ci", &scopes, later(100), now())?;
            let (found, person) = tx.token(&brand(), &proof, later(99))?.unwrap();
            assert_eq!(
                (found.scopes.words().as_str(), found.scopes.and(&person.rights()).words().as_str()),
                ("read act", "read")
            );
            assert!(found.is_stale(now()));
            tx.use_token(token, now())?;
            let found = tx.tokens(&brand(), id)?.remove(0);
            assert!(!found.is_stale(later(59)) && found.is_stale(later(60)));
            assert!(tx.token(&brand(), &proof, later(100))?.is_none(), "expired");
            assert!(tx.token(&"other".into(), &proof, now())?.is_none(), "of another brand");
            assert_eq!(tx.revoke_token(&"other".into(), id, token)?, None);
            assert_eq!(tx.revoke_token(&brand(), id, token)?.as_deref(), Some("ci"));
            assert!(tx.token(&brand(), &proof, now())?.is_none());
            for n in 0..50 {
                tx.make_token(&brand(), id, &n.to_string(), &scopes, later(1), now())?;
            }
            assert!(matches!(tx.make_token(&brand(), id, "one more", &scopes, later(1), now()), Err(StoreError::Taken(_))));
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn waits_double_and_a_stranger_keeps_nobody_out() {
    let store = memory().await;
    store
        .write(|tx| {
            let id = anna(tx, &[])?;
            let from = |address: &str| Attempt { email: Some(email("anna@example.com")), address: address.to_owned() };
            let (home, stranger) = (from("192.0.2.1"), from("198.51.100.7"));
            tx.login_succeeded(id, &home, now())?;
            let mut series = 0;
            for failure in 1..=20_u32 {
                series += u32::from(tx.login_failed(&stranger, now())?.is_some());
                let wait = tx.login_waits(&stranger, now())?.map_or(0, |at| at.duration_since(now()).as_secs());
                let expected = if failure <= 4 { 0 } else { (1_i64 << (failure - 5)).min(300) };
                assert_eq!(wait, expected, "after {failure}");
            }
            assert_eq!(series, 2, "told once for the account and once for the address");
            assert_eq!(tx.login_waits(&home, now())?, None, "she signs in where she is known");
            assert!(tx.login_waits(&from("203.0.113.9"), now())?.is_some(), "from elsewhere it is guessing");
            assert_eq!(tx.login_waits(&stranger, later(300))?, None, "nobody is shut out for good");
            // Who is known at an address and still fails there waits as well.
            for _ in 0..5 {
                tx.login_failed(&home, now())?;
            }
            assert!(tx.login_waits(&home, now())?.is_some());
            tx.login_succeeded(id, &home, later(1))?;
            assert_eq!(tx.login_waits(&home, later(1))?, None);
            // One address that tries one account after the other.
            for n in 0..13 {
                tx.login_failed(
                    &Attempt { email: Some(email(&format!("{n}@example.com"))), address: "203.0.113.1".to_owned() },
                    now(),
                )?;
            }
            let other = Attempt { email: Some(email("new@example.com")), address: "203.0.113.1".to_owned() };
            assert!(tx.login_waits(&other, now())?.is_some());
            tx.login_failed(&home, later(90_000))?;
            let rows: i64 = tx.connection.query_row("SELECT count(*) FROM login_failures", [], |row| row.get(0))?;
            assert_eq!(rows, 2, "a day later all else is forgotten");
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn an_act_is_decided_once_and_in_time() {
    let store = memory().await;
    store
        .write(|tx| {
            let id = anna(tx, &[Role::Admin])?;
            assert_eq!(tx.four_eyes(&brand())?, FourEyes::default());
            let marked = FourEyes { dismiss: true, release_over: Some(10), ..FourEyes::default() };
            tx.set_four_eyes(&brand(), &marked)?;
            assert_eq!((tx.four_eyes(&brand())?, tx.four_eyes(&"other".into())?), (marked, FourEyes::default()));

            let act = Act::Dismiss { exception: ExceptionId(3), reason: "test".to_owned(), records: 1, newest: None };
            let first = tx.ask(&brand(), &act, Some(id), "anna", now())?;
            assert_eq!(tx.ask(&brand(), &act, Some(id), "anna", now())?, first, "asked once");
            assert_ne!(tx.ask(&brand(), &act, None, "bo (cli)", now())?, first);
            assert!(matches!(tx.approval(&"other".into(), first, now()), Err(StoreError::Absent(_))));
            assert_eq!(tx.approval(&brand(), first, now())?.act, act);
            let week = 7 * 24 * 3_600;
            assert_eq!(tx.approval(&brand(), first, later(week))?.state, State::Expired);
            assert!(matches!(tx.decide(&brand(), first, Decision::Done, "bo", later(week)), Err(StoreError::Decided { .. })));
            tx.decide(&brand(), first, Decision::Done, "bo", later(week - 1))?;
            for again in [Decision::Done, Decision::Approved, Decision::Rejected("no")] {
                assert!(matches!(tx.decide(&brand(), first, again, "cy", now()), Err(StoreError::Decided { .. })));
            }
            assert_eq!(tx.approvals(&brand(), false, None, 9, now())?.len(), 1);
            let all = tx.approvals(&brand(), true, None, 9, now())?;
            assert_eq!(all.len(), 2);
            assert_eq!(tx.approvals(&brand(), true, Some(all[0].id), 9, now())?, all[1..]);

            let sign = Act::Sign { entity: "se".to_owned(), period: "2026-11".parse().unwrap() };
            let id = tx.ask(&brand(), &sign, None, "bo (cli)", now())?;
            assert!(tx.approved(&brand(), &sign, "bo (cli)", now())?.is_none());
            tx.decide(&brand(), id, Decision::Approved, "anna", now())?;
            assert!(tx.approved(&brand(), &sign, "cy (cli)", now())?.is_none(), "it was not asked for by her");
            assert!(tx.approved(&brand(), &sign, "bo (cli)", later(week))?.is_none(), "expired");
            assert_eq!(tx.approved(&brand(), &sign, "bo (cli)", now())?.unwrap().id, id);
            tx.use_approval(&brand(), id, now())?;
            assert!(matches!(tx.use_approval(&brand(), id, now()), Err(StoreError::Decided { .. })), "used once");
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_not_kept_leaves_nothing() {
    let store = memory().await;
    store
        .write(|tx| {
            let add = |name: &str| tx.add_person(&email(name), "x", at(1));
            tx.keep_if(|| add("a@b.c"), |_| false)?;
            tx.keep_if(|| add("d@e.f"), |_| true)?;
            assert_eq!(tx.people(&brand())?.iter().map(|p| p.email.as_str()).collect::<Vec<_>>(), ["d@e.f"]);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_link_is_of_its_brand_and_no_way_into_another() {
    let store = crate::samples::memory().await;
    store
        .write(|tx| {
            let other = Brand::from("other");
            let (mine, theirs) = (tx.make_link(Link::Setup(brand()), now())?, tx.make_link(Link::Setup(other.clone()), now())?);
            assert_eq!(tx.link(&mine, now())?, Some(Link::Setup(brand())), "another brand's takes nothing from it");
            assert_eq!(tx.link(&theirs, now())?, Some(Link::Setup(other.clone())));
            // Invited here, not yet come, and then given a role there: whoever has the link is nobody there.
            let id = tx.add_person(&"eve@example.com".parse().unwrap(), "Eve", now())?;
            tx.set_roles(id, &brand(), &[Role::Viewer].into())?;
            let link = tx.make_link(Link::Password(id), now())?;
            tx.set_roles(id, &brand(), &[Role::Operator].into())?;
            assert_eq!(tx.link(&link, now())?, Some(Link::Password(id)), "another role at the same brand is no news");
            tx.set_roles(id, &other, &[Role::Admin].into())?;
            assert_eq!(tx.link(&link, now())?, None);
            // Nor is it where the first brand took everything away before.
            let link = tx.make_link(Link::Password(id), now())?;
            tx.set_roles(id, &other, &[].into())?;
            tx.set_roles(id, &brand(), &[].into())?;
            tx.set_roles(id, &other, &[Role::Admin].into())?;
            assert_eq!(tx.link(&link, now())?, None);
            // People come page by page, in the order in which they came.
            for number in 0..5 {
                let one = tx.add_person(&format!("p{number}@example.com").parse().unwrap(), "P", now())?;
                tx.set_roles(one, &other, &[Role::Viewer].into())?;
            }
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let page = tx.people_after(&other, after, 2)?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                all.extend(page.into_iter().map(|one| one.id));
            }
            assert_eq!(all.len(), 6);
            assert!(all.is_sorted());
            Ok(())
        })
        .await
        .unwrap();
}
