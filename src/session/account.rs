//! What talking costs: by turn, by session, by day; and whether the day's limit is used up.
//!
//! The service bills the whole context again with every turn, so each count it sends is added up. The estimate
//! errs on the dear side; the service's bill is what counts (live-protocol.md 3.3, 4.5).

use super::memory::Spent;
use crate::config::agent::{Limits, Prices};
use crate::live::usage::Usage;

/// No program counted a day before this one, in 2024.
const PLAUSIBLE_DAY: u32 = 20_000;

/// The machine.
#[derive(Debug)]
pub struct Account {
    prices: Prices,
    day_tokens_max: Option<u64>,
    day_microusd_max: Option<u64>,
    session_microusd: u64,
    day: Spent,
}

impl Account {
    /// Nothing spent yet.
    pub fn new(prices: &Prices, limits: &Limits) -> Account {
        Account {
            prices: prices.clone(),
            day_tokens_max: limits.day_tokens.map(u64::from),
            day_microusd_max: limits.day_usd.map(|usd| (f64::from(usd) * 1e6) as u64),
            session_microusd: 0,
            day: Spent::default(),
        }
    }

    /// Takes up what an earlier run spent.
    pub fn remember(&mut self, spent: Spent) {
        self.day = spent;
    }

    /// It is this day. A day before the one that is counted is a clock that is not set: nothing changes. Unless it is
    /// a day that may be: a clock that was not set stands where it stood when the power went, so the counted day was
    /// the wrong one.
    /// Answers whether a new day began.
    pub fn today(&mut self, day: u32) -> bool {
        let ran_ahead = day >= PLAUSIBLE_DAY && day + 1 < self.day.day;
        let is_new = day > self.day.day || ran_ahead;
        if is_new {
            self.day = Spent { day, ..Spent::default() };
        }
        is_new
    }

    /// A conversation of its own began.
    pub fn session_began(&mut self) {
        self.session_microusd = 0;
    }

    /// Counts what a turn took. Answers its cost in millionths of a US dollar.
    pub fn count(&mut self, usage: &Usage) -> u64 {
        let cost = self.cost(usage);
        self.session_microusd = self.session_microusd.saturating_add(cost);
        self.day.microusd = self.day.microusd.saturating_add(cost);
        self.day.tokens = self.day.tokens.saturating_add(usage.total);
        cost
    }

    /// Millionths of a US dollar: a price for a million tokens is as many millionths for one.
    fn cost(&self, usage: &Usage) -> u64 {
        let prices = &self.prices;
        let parts = [
            (usage.input.text, prices.text_in),
            (usage.input.audio, prices.audio_in),
            (usage.input.image, prices.image_in),
            (usage.output.text, prices.text_out),
            (usage.output.audio, prices.audio_out),
        ];
        parts.iter().map(|(tokens, price)| *tokens as f64 * f64::from(*price)).sum::<f64>().ceil() as u64
    }

    /// Cost of the session so far.
    pub fn session_microusd(&self) -> u64 {
        self.session_microusd
    }

    /// What the day has cost.
    pub fn day(&self) -> Spent {
        self.day
    }

    /// Why nothing more is to be spent today: a sentence.
    pub fn spent(&self) -> Option<String> {
        let until = "it rests until tomorrow";
        if let Some(max) = self.day_tokens_max.filter(|max| self.day.tokens >= *max) {
            return Some(format!("{max} tokens a day are used up ([limits] day_tokens): {until}"));
        }
        let max = self.day_microusd_max.filter(|max| self.day.microusd >= *max)?;
        Some(format!("{:.2} US dollars a day are used up ([limits] day_usd): {until}", max as f64 / 1e6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::agent::Agent;
    use crate::live::usage::Tokens;

    fn account(day_tokens: Option<u32>, day_usd: Option<f32>) -> Account {
        let agent = Agent::default();
        Account::new(&agent.prices, &Limits { day_tokens, day_usd, ..agent.limits })
    }

    fn usage(audio_in: u64, audio_out: u64) -> Usage {
        let tokens = |audio| Tokens { audio, ..Tokens::default() };
        Usage { input: tokens(audio_in), output: tokens(audio_out), total: audio_in + audio_out }
    }

    #[test]
    fn a_minute_each_way_costs_what_the_price_list_says() {
        // 25 tokens a second: 0.0045 dollars in, 0.018 out (live-protocol.md 4.5: about 0.005 and 0.018).
        let mut account = account(None, None);
        assert_eq!((account.count(&usage(1500, 0)), account.count(&usage(0, 1500))), (4_500, 18_000));
        assert_eq!((account.session_microusd(), account.day().tokens), (22_500, 3000));
        account.session_began();
        assert_eq!((account.session_microusd(), account.day().microusd), (0, 22_500));
        assert_eq!(account.spent(), None);
    }

    #[test]
    fn a_limit_holds_until_the_next_day_and_a_clock_that_was_set_back_changes_nothing() {
        for mut account in [account(Some(1000), None), account(None, Some(0.003))] {
            account.today(20_000);
            account.count(&usage(999, 0));
            assert_eq!(account.spent(), None);
            account.count(&usage(1, 0));
            assert!(account.spent().is_some_and(|why| why.contains("used up")));
            assert!(!account.today(20_000) && !account.today(0));
            assert!(account.spent().is_some());
            assert!(account.today(20_001));
            assert_eq!((account.spent(), account.day()), (None, Spent { day: 20_001, ..Spent::default() }));
            assert!(account.today(30_000), "the clock ran ahead");
            assert!(!account.today(29_999) && account.today(20_002), "and was set right");
        }
    }
}
