//! What every request passes before it is answered, and what every answer carries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderName, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;
use tokio::sync::Notify;

use super::hub::Hub;
use super::line::Ends;
use crate::config::agent::panel::Panel;
use crate::hw::clock::{CLOCK_SET_S, unix_s};
use crate::panel::door::{Clocks, Door, Refused};

/// What one site answers with.
pub(super) struct Site {
    pub(super) hub: Arc<Hub>,
    pub(super) panel: Panel,
    pub(super) is_tls: bool,
    /// Rung when somebody has signed in or out.
    pub(super) signed: Notify,
    door: Mutex<Door>,
    policy: HeaderValue,
}

/// What lets in whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: only what is open to everybody is for them.
    No,
    /// A session, which may end.
    BySession,
    /// The password itself in this request, or none is asked for: there is nothing that could end.
    ByPassword,
}

impl Site {
    pub(super) fn new(panel: &Panel, hub: Arc<Hub>, door: Door, is_tls: bool) -> Site {
        let pictures: String = panel.show_hosts.iter().map(|host| format!(" https://{host}")).collect();
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{pictures}; connect-src 'self'; \
             font-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        );
        // Hosts were checked to be letters, digits, dots and dashes.
        let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Site { hub, panel: panel.clone(), is_tls, signed: Notify::new(), door: Mutex::new(door), policy }
    }

    pub(super) fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What lets in somebody with these headers.
    fn knows(&self, headers: &HeaderMap, ends: Ends) -> Result<Known, Refused> {
        let now = self.hub.now();
        let mut door = self.door();
        if !door.has_lock() {
            return Ok(Known::ByPassword);
        }
        if door.is_logged_in(text(headers, &COOKIE).unwrap_or_default(), now) {
            return Ok(Known::BySession);
        }
        let shown = text(headers, &AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        shown.map_or(Ok(Known::No), |shown| door.check(ends.from, shown, now).map(|()| Known::ByPassword))
    }

    /// Whether the owner grants this at the page.
    pub(super) fn allows(&self, permit: &str) -> bool {
        self.panel.allow.iter().any(|allowed| allowed == permit)
    }

    /// Both clocks.
    pub(super) fn clocks(&self) -> Clocks {
        Clocks { now: self.hub.now(), unix_s: Some(unix_s()).filter(|unix_s| *unix_s >= CLOCK_SET_S) }
    }
}

/// A header that is text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A refusal with its sentence.
pub(super) fn refusal(status: StatusCode, sentence: &str) -> Response {
    let mut response = Response::new(Body::from(json!({ "error": sentence }).to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, json);
    response
}

/// Another place to look.
pub(super) fn elsewhere(place: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(axum::http::header::LOCATION, HeaderValue::from_static(place));
    response
}

/// Judges the request, has it answered, and says how the answer may be used.
pub(super) async fn pass(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let mut response = match judge(&site, &request) {
        Ok(known) => {
            request.extensions_mut().insert(known);
            next.run(request).await
        }
        Err(refused) => refused,
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, site.policy.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("x-frame-options", HeaderValue::from_static("DENY"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[allow(clippy::result_large_err, reason = "once a request")]
fn judge(site: &Site, request: &Request) -> Result<Known, Response> {
    let (headers, path) = (request.headers(), request.uri().path());
    let Some(ends) = request.extensions().get::<Ends>().copied() else {
        return Err(refusal(StatusCode::INTERNAL_SERVER_ERROR, "nobody knows where this request came from"));
    };
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
        (Some(host), None) if request.uri().host().is_none() => host,
        _ => return Err(refusal(StatusCode::BAD_REQUEST, "the request must name its host in one header `Host`")),
    };
    if !site.door().knows(host, ends.reached) {
        let sentence = "this device is not known by that name; if it is right, add it to `hosts` in [panel]";
        return Err(refusal(StatusCode::FORBIDDEN, sentence));
    }
    // A link from elsewhere may lead to a page, but nothing is told to or wanted by another's page.
    let is_page = request.method() == Method::GET && !path.starts_with("/api/") && path != "/metrics";
    let origin = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
    let fetched = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if !is_page && !Door::is_own_page(host, origin, fetched) {
        return Err(refusal(StatusCode::FORBIDDEN, "this was sent by a page of somebody else"));
    }
    let is_open = matches!(path, "/login" | "/logout" | "/healthz") || path.starts_with("/assets/");
    match site.knows(headers, ends) {
        Ok(known @ (Known::BySession | Known::ByPassword)) => Ok(known),
        Ok(Known::No) | Err(_) if is_open => Ok(Known::No),
        Err(Refused::TooOften) => Err(refusal(StatusCode::TOO_MANY_REQUESTS, "too many attempts; wait a minute")),
        _ if is_page => Err(elsewhere("/login")),
        _ => Err(refusal(
            StatusCode::UNAUTHORIZED,
            "sign in first: at /login, or with the header `Authorization: Bearer …`",
        )),
    }
}
