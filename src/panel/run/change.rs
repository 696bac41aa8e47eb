//! Settings at the page: what they are, which may be changed, a change, and the restart that puts it in force.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::gate::Site;
use super::hub::Denied;
use crate::config::agent::overlay::Chosen;
use crate::config::agent::panel::{SETTINGS, Setting};
use crate::hw::settings::{Refusal, Settings};
use crate::panel::wish::Wish;

/// From the answer to the end: so long it takes to reach the page.
const RESTART_AFTER: Duration = Duration::from_millis(500);

/// All settings; of those that may be changed, how.
pub(super) fn all(site: &Site) -> Value {
    let is_allowed = site.allows(SETTINGS);
    let known = site.hub.settings().filter(|_| is_allowed);
    let why_not = known
        .as_ref()
        .map_or(Some("this device was started without a place for what is chosen"), |known| known.read_only());
    let changeable = known.as_ref().filter(|_| why_not.is_none());
    let shown = |setting: &Setting| {
        let key = match setting.section {
            "" => setting.key.to_string(),
            section => format!("{section}.{}", setting.key),
        };
        let mut shown = json!(setting);
        if let Some(known) = &known {
            shown["is_chosen"] = known.in_force().get(&key).is_some().into();
        }
        if let Some(change) = changeable.and_then(|known| known.change(&key)) {
            shown["change"] = change;
        }
        shown
    };
    json!({
        "settings": site.panel.settings.iter().map(shown).collect::<Vec<_>>(),
        "is_allowed": is_allowed,
        "why_not": why_not.filter(|_| is_allowed),
        "is_restart_due": known.as_ref().is_some_and(|known| known.is_restart_due()),
        "trouble": known.as_ref().and_then(|known| known.trouble()),
    })
}

/// Changes one; it is on the disk when this answers.
pub(super) async fn set(site: &Site, key: &'static str, value: Option<Chosen>) -> Result<(), Denied> {
    site.hub.may(&Wish::Set { key, value: None })?;
    let settings = known(site)?;
    let chosen = spawn_blocking(move || settings.choose(key, value)).await;
    match chosen {
        Ok(Ok(())) => {
            tracing::info!(key, "a setting was changed at the panel; it is in force after a restart");
            Ok(())
        }
        Ok(Err(Refusal::Unfit(why))) => Err(Denied::Wrong(why)),
        Ok(Err(Refusal::Unwritable(why))) => Err(Denied::Now(why)),
        Err(_) => Err(Denied::Now("the device stops; nothing was changed".to_string())),
    }
}

/// Starts again, where the owner's file allows that now.
pub(super) async fn restart(site: &Site) -> Result<(), Denied> {
    site.hub.may(&Wish::Restart)?;
    let settings = known(site)?;
    let may = spawn_blocking(move || settings.may_restart()).await;
    may.unwrap_or(Ok(())).map_err(Denied::Now)?;
    tracing::info!("a restart was asked for at the panel");
    let hub = site.hub.clone();
    tokio::spawn(async move {
        sleep(RESTART_AFTER).await;
        hub.restart();
    });
    Ok(())
}

fn known(site: &Site) -> Result<Arc<Settings>, Denied> {
    site.hub.settings().ok_or_else(|| Denied::Now("this device was started without settings to change".to_string()))
}
