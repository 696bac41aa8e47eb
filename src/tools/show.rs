//! What the model shows on the screen: its words are bounded, and its addresses lead nowhere that the owner did not allow.
//!
//! A link is only shown: nobody follows it unless a person does. A picture is fetched by the viewer's browser, so whoever
//! serves it learns who looks; that is why its host must be one of the owner's list.

use hyper::Uri;
use serde_json::{Map, Value};

use crate::flow::What;

/// Characters of a title.
const TITLE_CHARS_MAX: usize = 120;
/// Characters of a text: a screen of seven inches, full.
const TEXT_CHARS_MAX: usize = 1000;
/// Characters of an address.
const ADDRESS_CHARS_MAX: usize = 2000;

/// What is shown; each may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Show {
    title: String,
    text: String,
    link: String,
    picture: String,
}

/// Reads the arguments.
///
/// # Errors
/// A sentence for the model.
pub fn read(args: &Map<String, Value>) -> Result<Show, String> {
    let text = |name: &str, chars_max: usize| {
        let text = args.get(name).and_then(Value::as_str).unwrap_or_default().trim();
        match text.chars().count() {
            chars if chars <= chars_max => Ok(text.to_string()),
            chars => Err(format!("argument `{name}` has {chars} characters; at most {chars_max} are shown")),
        }
    };
    let address = |name: &str| {
        let text = text(name, ADDRESS_CHARS_MAX)?;
        if text.is_empty() || is_secure(&text) {
            return Ok(text);
        }
        Err(format!("argument `{name}` must be a whole address that begins with https://"))
    };
    Ok(Show {
        title: text("title", TITLE_CHARS_MAX)?,
        text: text("text", TEXT_CHARS_MAX)?,
        link: address("link")?,
        picture: address("picture")?,
    })
}

impl Show {
    /// Whether its picture comes from one of these hosts, which are in small letters.
    ///
    /// # Errors
    /// A sentence for the model.
    pub fn admitted(&self, hosts: &[String]) -> Result<(), String> {
        let is_admitted = self.picture.is_empty() || host(&self.picture).is_some_and(|host| hosts.contains(&host));
        match (is_admitted, hosts) {
            (true, _) => Ok(()),
            (false, []) => Err("pictures from the network are not allowed here; show it without `picture`".to_string()),
            (false, hosts) => {
                Err(format!("pictures may only come from {}; show it without `picture`", hosts.join(", ")))
            }
        }
    }

    /// What is told of it.
    pub fn what(&self) -> What {
        let Show { title, text, link, picture } = self.clone();
        What::Shown { title, text, link, picture }
    }
}

/// Whether it is an address with `https` that names no user.
fn is_secure(address: &str) -> bool {
    let uri = address.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("https"));
    let authority = uri.as_ref().and_then(|uri| uri.authority());
    authority.is_some_and(|authority| !authority.as_str().contains('@') && !authority.host().is_empty())
}

/// The host of an address with `https`, in small letters; none where it is another, or names a user or a port.
fn host(address: &str) -> Option<String> {
    let uri = address.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("https"))?;
    let (authority, host) = (uri.authority()?.as_str(), uri.host()?);
    (authority == host && !host.is_empty()).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(args: Value, hosts: &[&str]) -> Result<Show, String> {
        let show = read(args.as_object().unwrap())?;
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_string()).collect();
        show.admitted(&hosts).map(|()| show)
    }

    #[test]
    fn words_links_and_pictures_of_the_owners_hosts_are_shown() {
        let args = json!({"title": " A map ", "link": "https://maps.example/a?b=c#d", "picture": "https://Pictures.example/x.jpg"});
        let show = shown(args, &["pictures.example"]).unwrap();
        let What::Shown { title, text, link, picture } = show.what() else { panic!("{show:?}") };
        assert_eq!((title.as_str(), text.as_str()), ("A map", ""));
        assert_eq!(
            (link.as_str(), picture.as_str()),
            ("https://maps.example/a?b=c#d", "https://Pictures.example/x.jpg")
        );
        assert_eq!(shown(json!({}), &[]), Ok(Show::default()), "which clears the screen");
    }

    #[test]
    fn what_leads_elsewhere_is_refused_with_a_sentence() {
        for picture in [
            "https://evil.example/x.jpg",
            "https://pictures.example.evil.example/x",
            "https://pictures.example@evil.example/x",
            "https://pictures.example:444/x",
            "http://pictures.example/x",
            "//pictures.example/x",
            "data:image/png;base64,AAAA",
            "https:///x",
            "/api/stills/1.jpg",
        ] {
            assert!(shown(json!({ "picture": picture }), &["pictures.example"]).is_err(), "{picture}");
        }
        for link in
            ["javascript:alert(1)", "http://a.example", "https://user:pass@a.example/", "file:///etc/passwd", "x y"]
        {
            assert!(shown(json!({ "link": link }), &[]).is_err(), "{link}");
        }
        assert!(shown(json!({"text": "x".repeat(TEXT_CHARS_MAX + 1)}), &[]).is_err());
        assert!(shown(json!({"picture": "https://a.example/"}), &[]).unwrap_err().contains("not allowed"));
    }
}
