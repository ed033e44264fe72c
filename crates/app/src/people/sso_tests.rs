//! Against a small identity provider over real HTTP, with keys of its own, that does wrong what it is told to.

use axum::body::Body;
use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, Method, Request, StatusCode},
    routing::{get, post},
};
use jsonwebtoken::{EncodingKey, Header, encode, jwk::Jwk};
use selvedge_model::people::Right;
use serde_json::json;
use tower::ServiceExt;

use super::*;
use crate::{
    hostile_tests::{PASSWORD, with_password},
    pages::sample::{ADMIN, brand, empty, person, signed_in, start},
    people::{Door, origin::Peer},
    serve::{App, router},
};

const ONE: &[u8] = include_bytes!("sso_samples/one.pem");
const TWO: &[u8] = include_bytes!("sso_samples/two.pem");
const RSA: &[u8] = include_bytes!("sso_samples/rsa.pem");
const CLIENT: &str = "selvedge";

/// What the provider does next.
#[derive(Default)]
struct Doing {
    /// The keys that it shows, by name.
    shown: Vec<(&'static str, Algorithm)>,
    /// The key that it signs with.
    signs: Option<(&'static str, Algorithm)>,
    /// The token, if it is to send this one instead of a signed one.
    sends: Option<String>,
    /// Claims that it changes.
    changes: BTreeMap<&'static str, Value>,
    nonce: String,
    challenge: String,
    /// What the last exchange was sent.
    exchanged: BTreeMap<String, String>,
    authorization: String,
    looks: usize,
    issuer: String,
}

#[derive(Clone)]
struct Provider {
    issuer: String,
    doing: Arc<Mutex<Doing>>,
}

fn key(name: &str, algorithm: Algorithm) -> EncodingKey {
    match (name, algorithm) {
        ("one", _) => EncodingKey::from_ec_pem(ONE).unwrap(),
        ("two", _) => EncodingKey::from_ec_pem(TWO).unwrap(),
        _ => EncodingKey::from_rsa_pem(RSA).unwrap(),
    }
}

impl Provider {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let doing = Doing {
            shown: vec![("one", Algorithm::ES256)],
            signs: Some(("one", Algorithm::ES256)),
            issuer: issuer.clone(),
            ..Doing::default()
        };
        let provider = Self { issuer, doing: Arc::new(Mutex::new(doing)) };
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(provider.clone());
        tokio::spawn(async move { axum_serve(listener, routes).await });
        provider
    }

    fn doing(&self, what: impl FnOnce(&mut Doing)) {
        what(&mut self.doing.lock().unwrap());
    }
}

async fn axum_serve(listener: tokio::net::TcpListener, routes: Router) {
    crate::serve::serve(listener, routes, std::future::pending()).await.unwrap();
}

async fn discovery(State(provider): State<Provider>) -> Json<Value> {
    let doing = provider.doing.lock().unwrap();
    let at = |path: &str| format!("{}{path}", provider.issuer);
    Json(json!({
        "issuer": doing.issuer, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"), "jwks_uri": at("/keys"),
        "more": "that nobody asked for",
    }))
}

async fn keys(State(provider): State<Provider>) -> Json<Value> {
    let mut doing = provider.doing.lock().unwrap();
    doing.looks += 1;
    let keys: Vec<Jwk> = doing
        .shown
        .iter()
        .map(|(name, algorithm)| {
            let mut jwk = Jwk::from_encoding_key(&key(name, *algorithm), *algorithm).unwrap();
            jwk.common.key_id = Some((*name).to_owned());
            jwk
        })
        .collect();
    Json(json!({ "keys": keys }))
}

async fn token(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Form(sent): Form<BTreeMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let mut doing = provider.doing.lock().unwrap();
    doing.authorization = headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
    // As a provider that holds PKCE to its word does.
    let fits = URL_SAFE_NO_PAD.encode(Sha256::digest(sent["code_verifier"].as_bytes())) == doing.challenge;
    doing.exchanged = sent;
    if !fits {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })));
    }
    let now = start().as_second();
    let mut claims = json!({
        "iss": provider.issuer, "sub": "u-17", "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": doing.nonce,
        "email": "Anna@Example.com", "name": "Anna Berg", "groups": ["everybody", "ops"],
    });
    for (name, value) in &doing.changes {
        claims[*name] = value.clone();
    }
    let token = doing.sends.clone().unwrap_or_else(|| {
        let (name, algorithm) = doing.signs.unwrap();
        let header = Header { kid: Some(name.to_owned()), ..Header::new(algorithm) };
        encode(&header, &claims, &key(name, algorithm)).unwrap()
    });
    (StatusCode::OK, Json(json!({ "access_token": "x", "token_type": "Bearer", "id_token": token })))
}

/// An installation that trusts the provider.
async fn house(provider: &Provider, roles: &[(&str, Role)]) -> (Arc<App>, Arc<selvedge_connector::clock::ManualClock>) {
    let (app, clock) = empty().await;
    let oidc = Oidc {
        issuer: provider.issuer.clone(),
        client_id: CLIENT.to_owned(),
        client_secret: None,
        name: "Acme".to_owned(),
        groups_claim: "groups".to_owned(),
        roles: roles.iter().map(|(group, role)| ((*group).to_owned(), *role)).collect(),
        allow_private: true,
    };
    let sso = Sso::new(oidc, Some(Secret::new("s e:cret")), "http://localhost:8080", Arc::clone(&app.clock));
    let door = Door { sso: Some(sso), ..Door::default() };
    (Arc::new(App::new(Arc::clone(&app.engine)).with_door(door)), clock)
}

struct Got {
    status: StatusCode,
    location: String,
    cookies: Vec<String>,
    text: String,
}

async fn open(app: &Arc<App>, path: &str, cookies: &[String]) -> Got {
    from_site(app, path, cookies, "same-origin").await
}

async fn from_site(app: &Arc<App>, path: &str, cookies: &[String], site: &str) -> Got {
    from(app, (Method::GET, path, ""), cookies, (site, "192.0.2.1")).await
}

/// Sends a form of ours.
async fn send(app: &Arc<App>, path: &str, body: &str, cookies: &[String]) -> Got {
    from(app, (Method::POST, path, body), cookies, ("same-origin", "192.0.2.1")).await
}

async fn from(
    app: &Arc<App>,
    (method, path, body): (Method, &str, &str),
    cookies: &[String],
    (site, address): (&str, &str),
) -> Got {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:8080")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("cookie", cookies.join("; "))
        .header("sec-fetch-site", site)
        .body(Body::from(body.to_owned()));
    let peer = Peer(format!("{address}:9").parse().unwrap());
    let response = router(Arc::clone(app)).layer(axum::Extension(peer)).oneshot(request.unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    let cookies =
        parts.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap().split(';').next().unwrap().to_owned());
    let location = parts.headers.get("location").map_or("", |value| value.to_str().unwrap()).to_owned();
    Got { status: parts.status, cookies: cookies.collect(), location, text }
}

fn field<'a>(address: &'a str, name: &str) -> &'a str {
    address
        .split(['?', '&'])
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {name} in {address}"))
}

/// Leaves for the provider, as somebody who clicks on the button.
async fn left(app: &Arc<App>, provider: &Provider, path: &str, cookies: &[String]) -> (String, String) {
    let got = open(app, path, cookies).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.text);
    on_the_way(provider, got)
}

/// The same, to connect an account.
async fn left_to_connect(app: &Arc<App>, provider: &Provider, cookie: &str) -> (String, String) {
    let got = send(app, "/account/sso", &format!("current={}", typed(PASSWORD)), &[cookie.to_owned()]).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text);
    let address = got.text.split("id=\"provider\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let location = address.replace("&amp;", "&");
    on_the_way(provider, Got { location, ..got })
}

fn typed(text: &str) -> String {
    text.replace(' ', "+")
}

fn on_the_way(provider: &Provider, got: Got) -> (String, String) {
    assert!(got.location.starts_with(&format!("{}/authorize?response_type=code&", provider.issuer)), "{}", got.location);
    assert_eq!(field(&got.location, "redirect_uri"), "http%3A%2F%2Flocalhost%3A8080%2Flogin%2Fsso%2Fback");
    assert_eq!(field(&got.location, "code_challenge_method"), "S256");
    provider.doing(|doing| {
        doing.nonce = field(&got.location, "nonce").to_owned();
        doing.challenge = field(&got.location, "code_challenge").to_owned();
    });
    (field(&got.location, "state").to_owned(), got.cookies[0].clone())
}

/// There and back.
async fn round(app: &Arc<App>, provider: &Provider) -> Got {
    let (state, cookie) = left(app, provider, "/login/sso?to=/orders", &[]).await;
    open(app, &format!("/login/sso/back?code=abc&state={state}"), &[cookie]).await
}

const OPS: [(&str, Role); 2] = [("ops", Role::Operator), ("bosses", Role::Admin)];

#[tokio::test]
async fn somebody_is_let_in_with_the_roles_of_their_groups() {
    let provider = Provider::start().await;
    let (app, _) = house(&provider, &OPS).await;
    assert!(open(&app, "/login?to=/orders", &[]).await.text.contains("Sign in with Acme"));
    let got = round(&app, &provider).await;
    assert_eq!((got.status, got.location.as_str()), (StatusCode::SEE_OTHER, "/orders"), "{}", got.text);
    provider.doing(|doing| {
        assert_eq!((doing.exchanged["grant_type"].as_str(), doing.exchanged["code"].as_str()), ("authorization_code", "abc"));
        let basic = STANDARD.decode(doing.authorization.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(basic).unwrap(), "selvedge:s%20e%3Acret");
        assert!(!doing.exchanged.values().any(|value| value.contains("s e:cret")));
    });
    assert_eq!(open(&app, "/", &got.cookies).await.status, StatusCode::OK);
    let anna = app.store.read(|view| view.people(&brand())).await.unwrap().remove(0);
    assert_eq!((anna.email.as_str(), anna.name.as_str(), anna.rights().has(Right::Act)), ("anna@example.com", "Anna Berg", true));
    assert!(!anna.has_password && anna.issuer.as_deref() == Some(provider.issuer.as_str()));

    // Her groups and her address change there; she stays who she is, and her roles follow.
    provider.doing(|doing| {
        doing.changes = [("groups", json!("bosses")), ("email", json!("anna.new@example.com")), ("name", json!("Eve"))].into();
    });
    assert_eq!(round(&app, &provider).await.status, StatusCode::SEE_OTHER);
    let people = app.store.read(|view| view.people(&brand())).await.unwrap();
    assert_eq!((people.len(), people[0].email.as_str(), people[0].rights().has(Right::People)), (1, "anna@example.com", true));
    // Out of all groups: the one admin there is stays who she is until there is another.
    provider.doing(|doing| drop(doing.changes.insert("groups", json!([]))));
    let got = round(&app, &provider).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    assert!(got.text.contains("Name another admin first"), "{}", got.text);
    let other = crate::pages::sample::person(&app, "ada@example.com", &[Role::Admin]).await;
    app.store.write(move |tx| tx.set_password(other, "a hash")).await.unwrap();
    // Then: known, and nothing any more.
    let got = round(&app, &provider).await;
    assert_eq!(open(&app, "/orders", &got.cookies).await.status, StatusCode::FORBIDDEN);
    // Somebody new without a group is not taken in.
    provider.doing(|doing| drop(doing.changes.insert("sub", json!("u-18"))));
    let got = round(&app, &provider).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    assert!(got.text.contains("None of your groups has a role here"), "{}", got.text);
    // Nor is somebody who was taken out of use here.
    let (id, now) = (people[0].id, app.clock.now());
    app.store.write(move |tx| tx.set_disabled(id, Some(now))).await.unwrap();
    provider.doing(|doing| doing.changes.clear());
    assert_eq!(round(&app, &provider).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_does_not_prove_itself_opens_nothing() {
    let provider = Provider::start().await;
    let (app, _) = house(&provider, &OPS).await;
    let now = start().as_second();
    let unsigned = {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({"iss": provider.issuer, "sub": "u-17", "aud": CLIENT, "exp": now + 300, "iat": now, "email": "a@b.c", "groups": ["bosses"]});
        format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), part(&claims))
    };
    // The key that everybody may read, taken for a secret that both share.
    let confused = {
        let claims = json!({"iss": provider.issuer, "sub": "u-17", "aud": CLIENT, "exp": now + 300, "iat": now, "email": "a@b.c", "groups": ["bosses"]});
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims, &EncodingKey::from_secret(ONE)).unwrap()
    };
    type Wrong = Box<dyn Fn(&mut Doing)>;
    let change =
        |name: &'static str, value: Value| -> Wrong { Box::new(move |doing| drop(doing.changes.insert(name, value.clone()))) };
    let send = |text: String| -> Wrong { Box::new(move |doing| doing.sends = Some(text.clone())) };
    let wrongs: Vec<(&str, Wrong)> = vec![
        ("another nonce", change("nonce", json!("another"))),
        ("no nonce", change("nonce", Value::Null)),
        ("for somebody else", change("aud", json!("another-client"))),
        ("for several, and not authorised", change("aud", json!([CLIENT, "another"]))),
        ("made for another party", change("azp", json!("another"))),
        ("for nobody", change("aud", json!([]))),
        ("from another issuer", change("iss", json!("https://evil.example"))),
        ("expired", change("exp", json!(now - 61))),
        ("of a time to come", change("iat", json!(now + 3_600))),
        ("of nobody", change("sub", json!(""))),
        ("alg none", send(unsigned.clone())),
        (
            "alg none, in capitals",
            send(unsigned.replace(
                &URL_SAFE_NO_PAD.encode("{\"alg\":\"none\",\"typ\":\"JWT\"}"),
                &URL_SAFE_NO_PAD.encode("{\"alg\":\"NONE\",\"typ\":\"JWT\"}"),
            )),
        ),
        ("a public key as a secret", send(confused)),
        ("no token at all", send(String::new())),
        ("half a token", send("abc.def".to_owned())),
        ("a key that is not shown", Box::new(|doing| doing.signs = Some(("two", Algorithm::ES256)))),
        (
            "another key under a known name",
            Box::new(|doing| {
                let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::ES256) };
                let claims = json!({"iss": doing.issuer, "sub": "u-17", "aud": CLIENT, "exp": start().as_second() + 300, "iat": start().as_second(), "nonce": doing.nonce});
                doing.sends = Some(encode(&header, &claims, &key("two", Algorithm::ES256)).unwrap());
            }),
        ),
    ];
    for (what, wrong) in wrongs {
        let (state, cookie) = left(&app, &provider, "/login/sso", &[]).await;
        provider.doing(|doing| wrong(doing));
        let got = open(&app, &format!("/login/sso/back?code=abc&state={state}"), &[cookie]).await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{what}: {}", got.text);
        assert!(got.cookies.is_empty() && got.text.contains("not to be believed"), "{what}: {}", got.text);
        provider.doing(|doing| {
            doing.changes.clear();
            doing.sends = None;
            doing.signs = Some(("one", Algorithm::ES256));
        });
    }
    assert!(app.store.read(|view| view.people(&brand())).await.unwrap().is_empty());
    assert_eq!(round(&app, &provider).await.status, StatusCode::SEE_OTHER, "and the right one still does");
    // Some minutes of difference between clocks are none.
    provider.doing(|doing| doing.changes = [("exp", json!(now - 30)), ("iat", json!(now + 30))].into());
    assert_eq!(round(&app, &provider).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn only_who_left_comes_back_and_once() {
    let provider = Provider::start().await;
    let (app, clock) = house(&provider, &OPS).await;
    let back = async |state: &str, more: &str, cookies: &[String]| {
        open(&app, &format!("/login/sso/back?state={state}{more}"), cookies).await
    };
    let (state, cookie) = left(&app, &provider, "/login/sso", &[]).await;
    // An attacker's code in the victim's browser: she never left, or left for something else.
    for (what, state, cookies) in [
        ("no cookie", state.as_str(), vec![]),
        ("another state", "another", vec![cookie.clone()]),
        ("the state is used up by the try before", &state, vec![cookie.clone()]),
    ] {
        let got = back(state, "&code=abc", &cookies).await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{what}");
        assert!(got.text.contains("Begin it again") && got.cookies.is_empty(), "{what}: {}", got.text);
    }
    let (state, cookie) = left(&app, &provider, "/login/sso", &[]).await;
    assert_eq!(back(&state, "&code=abc", std::slice::from_ref(&cookie)).await.status, StatusCode::SEE_OTHER);
    assert_eq!(back(&state, "&code=abc", &[cookie]).await.status, StatusCode::UNAUTHORIZED, "twice");
    let (state, cookie) = left(&app, &provider, "/login/sso", &[]).await;
    clock.advance(Duration::from_secs(600));
    assert_eq!(back(&state, "&code=abc", &[cookie]).await.status, StatusCode::UNAUTHORIZED, "too late");
    let (state, cookie) = left(&app, &provider, "/login/sso", &[]).await;
    let got = back(&state, "&error=access_denied%3Cscript%3E", &[cookie]).await;
    assert!(got.text.contains("access_denied&lt;script&gt;"), "{}", got.text);
    // A code of another attempt does not fit its verifier.
    let (state, cookie) = left(&app, &provider, "/login/sso", &[]).await;
    provider.doing(|doing| doing.challenge = "another".to_owned());
    let got = back(&state, "&code=abc", &[cookie]).await;
    assert!(got.text.contains("answers the code with 400"), "{}", got.text);
    // Nobody is led elsewhere afterwards.
    let got = {
        let (state, cookie) = left(&app, &provider, "/login/sso?to=//evil.example", &[]).await;
        provider.doing(|doing| {
            doing.changes = [("exp", json!(start().as_second() + 9_000)), ("iat", json!(start().as_second()))].into()
        });
        back(&state, "&code=abc", &[cookie]).await
    };
    assert_eq!(got.location, "/", "{}", got.text);
}

#[tokio::test]
async fn keys_may_be_exchanged_and_are_not_asked_for_by_strangers() {
    let provider = Provider::start().await;
    let (app, clock) = house(&provider, &OPS).await;
    assert_eq!(round(&app, &provider).await.status, StatusCode::SEE_OTHER);
    provider.doing(|doing| {
        doing.shown = vec![("two", Algorithm::ES256), ("rsa", Algorithm::RS256)];
        doing.signs = Some(("two", Algorithm::ES256));
        doing.changes = [("exp", json!(start().as_second() + 9_000))].into();
    });
    assert_eq!(round(&app, &provider).await.status, StatusCode::UNAUTHORIZED, "looked up less than a minute ago");
    clock.advance(Duration::from_secs(60));
    assert_eq!(round(&app, &provider).await.status, StatusCode::SEE_OTHER, "rotated");
    provider.doing(|doing| doing.signs = Some(("rsa", Algorithm::RS256)));
    assert_eq!(round(&app, &provider).await.status, StatusCode::SEE_OTHER, "and of another kind");
    provider.doing(|doing| doing.signs = Some(("one", Algorithm::ES256)));
    let looks = provider.doing.lock().unwrap().looks;
    for _ in 0..5 {
        assert_eq!(round(&app, &provider).await.status, StatusCode::UNAUTHORIZED, "the old one is gone");
    }
    assert_eq!(provider.doing.lock().unwrap().looks, looks, "five made-up keys cost the provider no look within a minute");
}

#[tokio::test]
async fn an_address_alone_proves_nobody() {
    let provider = Provider::start().await;
    let (app, _) = house(&provider, &[]).await;
    // An account with this address is here; whoever the provider calls by it is somebody else until its person says otherwise.
    with_password(&app, "anna@example.com", &[Role::Admin]).await;
    let cookie = signed_in(&app, "anna@example.com", &[Role::Admin]).await;
    let got = round(&app, &provider).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    assert!(got.text.contains("an address alone proves nobody"), "{}", got.text);
    // Another site, which has made her browser its own at the provider before, does not get its key to her account.
    let connects = (Method::POST, "/account/sso", "current=x");
    let got = from(&app, connects, std::slice::from_ref(&cookie), ("cross-site", "192.0.2.1")).await;
    assert_eq!((got.status, got.location.as_str()), (StatusCode::FORBIDDEN, ""), "{}", got.text);
    // Nor does whoever found her browser open.
    let got = send(&app, "/account/sso", "current=four+wrong+words+here", std::slice::from_ref(&cookie)).await;
    assert_eq!((got.status, got.cookies.len()), (StatusCode::UNPROCESSABLE_ENTITY, 0), "{}", got.text);
    assert!(got.text.contains("This is not your password"), "{}", got.text);
    let (state, attempt) = left_to_connect(&app, &provider, &cookie).await;
    let back = format!("/login/sso/back?code=abc&state={state}");
    let other = signed_in(&app, ADMIN, &[Role::Admin]).await;
    assert_eq!(open(&app, &back, &[attempt, other]).await.status, StatusCode::FORBIDDEN, "somebody else came back");
    let (state, attempt) = left_to_connect(&app, &provider, &cookie).await;
    let got = open(&app, &format!("/login/sso/back?code=abc&state={state}"), &[attempt, cookie.clone()]).await;
    assert_eq!(got.location, "/account?did=connected", "{}", got.text);
    assert_eq!(round(&app, &provider).await.status, StatusCode::SEE_OTHER, "now it is her");
    // And it is until she says otherwise, with her password.
    for (password, status) in [("wrong", StatusCode::UNPROCESSABLE_ENTITY), (PASSWORD, StatusCode::SEE_OTHER)] {
        let body = format!("current={}", typed(password));
        let got = send(&app, "/account/sso/disconnect", &body, std::slice::from_ref(&cookie)).await;
        assert_eq!(got.status, status, "{}", got.text);
    }
    assert_eq!(round(&app, &provider).await.status, StatusCode::FORBIDDEN, "an address alone again");
    // Without groups, roles are given here.
    let roles = app.store.read(|view| view.people(&brand())).await.unwrap();
    assert_eq!(roles.iter().find(|one| one.email.as_str() == "anna@example.com").unwrap().roles, [Role::Admin].into());
    provider.doing(|doing| doing.changes = [("sub", json!("u-99")), ("email", json!("new@example.com"))].into());
    let got = round(&app, &provider).await;
    assert_eq!(
        open(&app, "/orders", &got.cookies).await.status,
        StatusCode::FORBIDDEN,
        "known, and without a role until an admin gives one"
    );
    person(&app, "new@example.com", &[Role::Viewer]).await;
    assert_eq!(open(&app, "/orders", &got.cookies).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_provider_that_is_away_or_another_is_said_in_words() {
    let provider = Provider::start().await;
    let (app, _) = house(&provider, &[]).await;
    provider.doing(|doing| doing.issuer = "https://evil.example".to_owned());
    let got = open(&app, "/login/sso", &[]).await;
    assert_eq!(got.status, StatusCode::BAD_GATEWAY);
    assert!(got.text.contains("does not answer as it should") && !got.text.contains("evil"), "{}", got.text);
    let gone = Provider { issuer: "http://127.0.0.1:1".to_owned(), doing: Arc::default() };
    let (app, _) = house(&gone, &[]).await;
    assert_eq!(open(&app, "/login/sso", &[]).await.status, StatusCode::BAD_GATEWAY);
    let (app, _) = empty().await;
    assert_eq!(open(&app, "/login/sso", &[]).await.status, StatusCode::NOT_FOUND);
    assert!(!open(&app, "/login", &[]).await.text.contains("/login/sso"));
}

#[tokio::test]
async fn an_address_that_the_provider_has_not_seen_names_no_account() {
    let provider = Provider::start().await;
    let (app, _) = house(&provider, &OPS).await;
    for said in [json!(false), json!("false")] {
        provider.doing(|doing| doing.changes = [("email_verified", said)].into());
        let got = round(&app, &provider).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN);
        assert!(got.text.contains("tells no e-mail address that could be taken"), "{}", got.text);
    }
    provider.doing(|doing| doing.changes = [("email_verified", json!(true))].into());
    assert_eq!(round(&app, &provider).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn nobody_crowds_out_the_others_who_are_on_their_way() {
    let provider = Provider::start().await;
    let (app, clock) = house(&provider, &OPS).await;
    let (state, cookie) = left(&app, &provider, "/login/sso?to=/orders", &[]).await;
    let begin = (Method::GET, "/login/sso", "");
    let first = from(&app, begin.clone(), &[], ("same-origin", "192.0.2.66")).await;
    for _ in 0..100 {
        clock.advance(Duration::from_millis(1));
        from(&app, begin.clone(), &[], ("same-origin", "192.0.2.66")).await;
    }
    let late = format!("/login/sso/back?code=abc&state={}", field(&first.location, "state"));
    assert_eq!(open(&app, &late, &first.cookies).await.status, StatusCode::UNAUTHORIZED, "its own oldest is forgotten");
    let got = open(&app, &format!("/login/sso/back?code=abc&state={state}"), &[cookie]).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.text);
}

#[tokio::test]
async fn a_token_takes_the_password_or_where_there_is_none_a_log_in_just_now() {
    let provider = Provider::start().await;
    let (app, clock) = house(&provider, &OPS).await;
    let vouched = round(&app, &provider).await.cookies;
    let make = "name=ci&days=7&read=on";
    assert_eq!(send(&app, "/account/tokens", make, &vouched).await.status, StatusCode::OK);
    clock.advance(Duration::from_secs(3_601));
    let got = send(&app, "/account/tokens", make, &vouched).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(got.text.contains("You signed in more than an hour ago"), "{}", got.text);
    with_password(&app, "bo@example.com", &[Role::Operator]).await;
    let known = [signed_in(&app, "bo@example.com", &[Role::Operator]).await];
    assert_eq!(send(&app, "/account/tokens", make, &known).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let with = format!("{make}&current={}", typed(PASSWORD));
    assert_eq!(send(&app, "/account/tokens", &with, &known).await.status, StatusCode::OK);
}
