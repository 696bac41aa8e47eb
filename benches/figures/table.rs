//! The table that is printed: figure, limit, median, spread, and whether the limit holds.

/// How much a median may be above that of the quiet run: those of sound in messages of 20 ms scatter by nearly as much.
const LEEWAY: f64 = 1.25;

/// Measurements of one figure.
#[derive(Clone)]
pub struct Row {
    figure: String,
    unit: &'static str,
    limit: Option<f64>,
    beside: String,
    values: Vec<f64>,
}

impl Row {
    /// A row; `bare` is what the 200-line client reaches. A limit holds for the median.
    pub fn new(figure: &str, unit: &'static str, limit: Option<f64>, bare: &str, values: Vec<f64>) -> Row {
        let mut values = values;
        values.sort_by(f64::total_cmp);
        Row { figure: figure.to_owned(), unit, limit, beside: bare.to_owned(), values }
    }

    /// The same figure measured while something was wrong, and how it compares to `quiet` of the same run; it may be a
    /// little above its own limit where the quiet one is near it.
    pub fn beside(self, wrong: &str, quiet: &Row) -> Row {
        let ratio = self.at(0.5) / quiet.at(0.5);
        let beside = if ratio.is_finite() { format!("x{ratio:.2} of quiet") } else { String::new() };
        let limit = self.limit.map(|limit| limit.max((LEEWAY * quiet.at(0.5)).ceil()));
        Row { figure: format!("{}, {wrong}", self.figure), beside, limit, ..self }
    }

    fn at(&self, share: f64) -> f64 {
        let last = self.values.len().saturating_sub(1);
        self.values.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }

    /// Whether the limit holds; a figure that could not be measured does not hold.
    pub fn holds(&self) -> bool {
        self.limit.is_none_or(|limit| self.at(0.5) <= limit)
    }

    /// The row as a line of the table.
    pub fn line(&self) -> String {
        let number = |x: f64| if x.is_nan() { "-".to_owned() } else { format!("{x:.2}") };
        let limit = self.limit.map_or_else(|| "-".to_owned(), |limit| format!("{limit}"));
        let ok = if self.limit.is_none() {
            ""
        } else if self.holds() {
            "ok"
        } else {
            "NO"
        };
        let at = |share: f64| number(self.at(share));
        let unit = if self.unit.is_empty() { String::new() } else { format!(", {}", self.unit) };
        format!(
            "{:<56}{:>7}{:>9}{:>9}{:>9}{:>9}{:>9}{:>5}  {:<4}{}",
            format!("{}{unit}", self.figure),
            limit,
            at(0.5),
            at(0.0),
            at(0.95),
            at(0.99),
            at(1.0),
            self.values.len(),
            ok,
            self.beside
        )
    }
}

/// The table's head.
pub fn head() -> String {
    format!(
        "{:<56}{:>7}{:>9}{:>9}{:>9}{:>9}{:>9}{:>5}  {:<4}{}",
        "figure", "limit", "median", "min", "p95", "p99", "max", "n", "ok", "bare client, or beside the quiet run"
    )
}
