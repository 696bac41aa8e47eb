//! Looks at what `[[watch]]` names, each in its own time, and tells the model.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::house::House;
use crate::config::agent::watch::{Condition, Watch};
use crate::flow::{Control, What};
use crate::tools::watch::{Health, Sight, Watcher};

/// Starts all watches; they end when what is answered is dropped.
pub(super) fn start(watches: &[Watch], house: &Arc<House>) -> JoinSet<()> {
    let mut all = JoinSet::new();
    for watch in watches {
        all.spawn(look(Watcher::new(watch.clone()), house.clone()));
    }
    all
}

async fn look(mut watcher: Watcher, house: Arc<House>) {
    let mut every = interval(Duration::from_secs(watcher.watch().every_s.into()));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let sight = see(&watcher.watch().condition, &house).await;
        match (watcher.looked(sight.is_ok()), &sight) {
            (Some(Health::Blind), Err(why)) => {
                (house.outside.tell)(What::Trouble { part: "tools".into(), text: why.clone() });
            }
            (Some(Health::Sees), _) => (house.outside.tell)(What::Recovered { part: "tools".into() }),
            _ => {}
        }
        let now = house.outside.clock.now();
        if let Ok(sight) = sight
            && let Some(text) = watcher.see(&sight, now)
            && (house.outside.give)(Control::Tell(text.into()))
        {
            watcher.told(now);
        }
    }
}

async fn see(condition: &Condition, house: &House) -> Result<Sight, String> {
    match condition {
        Condition::Above { sensor, .. } | Condition::Below { sensor, .. } => {
            house.backends.sensors.read(sensor).await.map(|(reading, _)| Sight::Reading(reading))
        }
        Condition::LineIs { line, .. } => house.backends.lines.sense(line).await.map(Sight::Level),
    }
}
