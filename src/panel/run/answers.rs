//! What is answered at which path.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, ETAG, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, SET_COOKIE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use tokio::time::timeout;

use super::assets::{Asset, asset};
use super::change;
use super::gate::{Known, Site, elsewhere, pass, refusal, text};
use super::hub::Denied;
use super::line::Ends;
use super::stream;
use crate::live::credential::Secret;
use crate::panel::door::{COOKIE as SESSION, Refused};
use crate::panel::sign_ins::LIFE;
use crate::panel::wish::{self, Wish};

/// The longest body: an announcement of 500 characters, each of which may be written in twelve bytes.
const BODY_BYTES_MAX: usize = 8 * 1024;
/// A body takes no longer.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Random bytes of a session's token.
const TOKEN_BYTES: usize = 32;
const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";

type Shared = State<Arc<Site>>;

/// All paths.
pub(super) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { file("index.html", &headers) }))
        .route("/kiosk", get(|headers: HeaderMap| async move { file("kiosk.html", &headers) }))
        .route("/login", get(|headers: HeaderMap| async move { file("login.html", &headers) }).post(log_in))
        .route("/logout", post(log_out))
        .route("/assets/{name}", get(assets))
        .route("/api/state", get(|State(site): Shared| async move { answer(JSON, site.hub.state()) }))
        .route("/api/events", get(events))
        .route("/api/stills/{name}", get(still))
        .route("/api/recorder", get(|State(site): Shared| async move { answer(PLAIN, site.hub.record()) }))
        .route("/api/settings", get(settings))
        .route("/api/do", post(grant))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "there is nothing at this address") })
        .layer(from_fn_with_state(site.clone(), pass))
        .with_state(site)
}

fn answer(mime: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(mime));
    response
}

fn status(status: StatusCode, mut response: Response) -> Response {
    *response.status_mut() = status;
    response
}

async fn assets(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&name, &headers)
}

fn file(name: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = asset(name) else { return refusal(StatusCode::NOT_FOUND, "there is no such file") };
    let Asset { bytes, mime, .. } = *asset;
    let tag = asset.tag();
    let is_known = text(headers, &IF_NONE_MATCH).is_some_and(|known| known.contains(&tag));
    let mut response =
        if is_known { status(StatusCode::NOT_MODIFIED, answer(mime, Body::empty())) } else { answer(mime, bytes) };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Elsewhere nobody learns of the page either way; but under "no-referrer" browsers name no origin with a form.
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

async fn events(State(site): Shared, Extension(known): Extension<Known>, headers: HeaderMap) -> Response {
    let Some(viewer) = site.hub.view() else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "too many look on already; try again later");
    };
    let hub = site.hub.clone();
    let cookies = text(&headers, &COOKIE).unwrap_or_default().to_string();
    let may = move || known == Known::ByPassword || site.door().is_logged_in(&cookies, site.hub.now());
    answer("text/event-stream", stream::body(hub, viewer, may))
}

async fn still(State(site): Shared, Path(name): Path<String>) -> Response {
    let id = name.strip_suffix(".jpg").and_then(|id| id.parse().ok());
    match id.and_then(|id| site.hub.jpeg(id)) {
        Some(jpeg) => answer("image/jpeg", jpeg.to_vec()),
        None => refusal(StatusCode::NOT_FOUND, "this picture is not kept any more"),
    }
}

async fn settings(State(site): Shared) -> Response {
    answer(JSON, change::all(&site).to_string())
}

async fn metrics(State(site): Shared) -> Response {
    answer("text/plain; version=0.0.4; charset=utf-8", site.hub.metrics())
}

/// Whoever is not let in is told only whether.
async fn health(State(site): Shared, Extension(known): Extension<Known>) -> Response {
    match site.hub.health() {
        (true, _) => answer(PLAIN, "ok\n"),
        (false, texts) => {
            let text =
                if known != Known::No { texts.join("\n") + "\n" } else { "something is out of order\n".to_string() };
            status(StatusCode::SERVICE_UNAVAILABLE, answer(PLAIN, text))
        }
    }
}

/// A request's body, where it is short and comes in time.
#[allow(clippy::result_large_err, reason = "once a request")]
async fn body(request: Request) -> Result<axum::body::Bytes, Response> {
    let announced = text(request.headers(), &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long"));
    }
    match timeout(BODY_TIMEOUT, to_bytes(request.into_body(), BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long, or broke off")),
        Err(_) => Err(refusal(StatusCode::REQUEST_TIMEOUT, "the request took too long")),
    }
}

async fn grant(State(site): Shared, request: Request) -> Response {
    // No form of another's page can send it, and no script without asking first, which is not answered.
    if request.headers().get("x-mynah").is_none_or(|value| value != "1") {
        return refusal(StatusCode::FORBIDDEN, "the header `X-Mynah: 1` is missing");
    }
    let body = match body(request).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let (word, wish) = match wish::read(&body) {
        Ok(read) => read,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, &why),
    };
    if !site.allows(wish.permit(word)) {
        return refusal(StatusCode::FORBIDDEN, "the owner does not allow that here (`allow` in [panel])");
    }
    tracing::info!(wish = word, "somebody at the panel wants something");
    let granted = match wish {
        Wish::Set { key, value } => change::set(&site, key, value).await,
        Wish::Restart => change::restart(&site).await,
        wish => site.hub.grant(wish),
    };
    match granted {
        Ok(()) => status(StatusCode::NO_CONTENT, Response::new(Body::empty())),
        Err(Denied::Wrong(why)) => refusal(StatusCode::BAD_REQUEST, &why),
        Err(Denied::Now(why)) => refusal(StatusCode::CONFLICT, &why),
        Err(Denied::TooMany(why)) => refusal(StatusCode::TOO_MANY_REQUESTS, why),
    }
}

async fn log_in(State(site): Shared, Extension(ends): Extension<Ends>, request: Request) -> Response {
    if !site.door().has_lock() {
        return elsewhere("/");
    }
    let body = match body(request).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let Some((secret, token)) = secret_of(&body).zip(token()) else {
        return refusal(StatusCode::BAD_REQUEST, "the form must have a field `secret`");
    };
    let clocks = site.clocks();
    let found = site.door().log_in(ends.from, secret.trim(), &Secret::new(token.as_str()), clocks);
    match found {
        Ok(()) => {
            site.signed.notify_one();
            cookie(elsewhere("/"), &site, &token, &LIFE.as_secs().to_string())
        }
        Err(Refused::Wrong) => {
            tracing::warn!(from = %ends.from, "a wrong password at the panel");
            elsewhere("/login#wrong")
        }
        Err(Refused::TooOften) => elsewhere("/login#wait"),
    }
}

async fn log_out(State(site): Shared, headers: HeaderMap) -> Response {
    site.door().log_out(text(&headers, &COOKIE).unwrap_or_default());
    site.signed.notify_one();
    cookie(elsewhere("/login"), &site, "", "0")
}

/// The answer with the session's cookie, which no script can read and no other site makes a browser send.
fn cookie(mut response: Response, site: &Site, token: &str, life_s: &str) -> Response {
    let secure = if site.is_tls { "; Secure" } else { "" };
    let cookie = format!("{SESSION}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={life_s}{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// A random token in hexadecimal digits; none where the system has no chance to give.
fn token() -> Option<String> {
    let mut bytes = [0; TOKEN_BYTES];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The field `secret` of a form, `application/x-www-form-urlencoded`.
fn secret_of(body: &[u8]) -> Option<String> {
    let field = body.split(|byte| *byte == b'&').find_map(|field| field.strip_prefix(b"secret="))?;
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [*rest.next()?, *rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        for (body, expected) in [
            ("secret=open+sesame", Some("open sesame")),
            ("a=b&secret=%C3%BC%26%3D&c", Some("ü&=")),
            ("secret=", Some("")),
            ("secret=%zz", None),
            ("secret=%f", None),
            ("secret=%ff", None),
            ("secrets=x", None),
            ("", None),
        ] {
            assert_eq!(secret_of(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (one, other) = (token().unwrap_or_default(), token().unwrap_or_default());
        assert!(one.len() == 2 * TOKEN_BYTES && one != other);
    }
}
