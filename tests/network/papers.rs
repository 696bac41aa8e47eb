//! Servers whose certificate is wrong: told apart, never spoken to, and what was said waits for the right one.

use std::thread::sleep;
use std::time::Duration;

use super::certificates::Papers;
use super::rig::{ANSWER, IN_A_WHILE, Rig, SOON};

/// Speaks to a server with wrong papers, which the device tells as `told`; then another one takes its place.
fn distrust(papers: Papers, told: &[&str]) {
    let mut rig = Rig::without_mynah(papers.name(), ANSWER, "[session]\nconnection = \"keep_open\"", papers);
    rig.start_mynah();
    let (mark, down) = rig.await_event(0, "link_down", SOON);
    let why = down["why"].as_str().unwrap().to_lowercase();
    println!("{papers:?}: {why}");
    let missing: Vec<_> = told.iter().filter(|piece| !why.contains(**piece)).collect();
    assert!(missing.is_empty(), "{missing:?} is not in: {why}");
    let said = rig.say(2.0, |_| {});
    sleep(Duration::from_secs(1));
    assert!(!rig.service_says().contains("setup:"), "the device spoke to a stranger");
    rig.serve_with(Papers::Right);
    rig.await_event(mark, "link_ready", IN_A_WHILE);
    rig.must_have_heard(&said, 1, IN_A_WHILE);
}

#[test]
fn another_hosts_certificate() {
    distrust(Papers::WrongName, &["certificate", "name"]);
}

#[test]
fn an_expired_certificate() {
    let told: &[&str] =
        if is_clock_trusted() { &["certificate", "expired"] } else { &["expired", "clock may not be set"] };
    distrust(Papers::Expired, told);
}

#[test]
fn a_certificate_of_the_future_which_may_be_the_clocks_fault() {
    let told: &[&str] = if is_clock_trusted() { &["valid", "clock"] } else { &["valid from", "clock may not be set"] };
    distrust(Papers::NotYetValid, told);
}

/// Whether the kernel takes this machine's clock for synchronised: otherwise no certificate is blamed for its time.
fn is_clock_trusted() -> bool {
    // SAFETY: plain data; with no modes set the call only reads.
    let (state, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    state < 0 || timex.status & libc::STA_UNSYNC == 0
}

#[test]
fn an_unknown_authoritys_certificate() {
    distrust(Papers::Stranger, &["certificate", "extra_ca"]);
}
