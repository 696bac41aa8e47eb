//! Who was away is back: what could not be switched off there is tried again, and not when its next turn comes.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::house::House;

/// Watches for returns; ends when what is answered is dropped.
pub(super) fn start(house: &Arc<House>) -> JoinSet<()> {
    let mut all = JoinSet::new();
    if house.backends.mqtt.is_some() {
        all.spawn(broker(house.clone()));
    }
    all
}

async fn broker(house: Arc<House>) {
    let Some(mqtt) = &house.backends.mqtt else { return };
    loop {
        mqtt.comes_back().await;
        house.try_again();
    }
}
