//! The table that is printed: figure, limit, median, spread, and whether the limit holds.

/// Measurements of one figure.
pub struct Row {
    figure: String,
    unit: &'static str,
    limit: Option<f64>,
    bare: &'static str,
    values: Vec<f64>,
}

impl Row {
    /// A row; `bare` is what the 200-line client reaches. A limit holds for the median.
    pub fn new(figure: &str, unit: &'static str, limit: Option<f64>, bare: &'static str, values: Vec<f64>) -> Row {
        let mut values = values;
        values.sort_by(f64::total_cmp);
        Row { figure: figure.to_owned(), unit, limit, bare, values }
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
        let (median, least, p95, most) = (self.at(0.5), self.at(0.0), self.at(0.95), self.at(1.0));
        let unit = if self.unit.is_empty() { String::new() } else { format!(", {}", self.unit) };
        format!(
            "{:<46}{:>7}{:>9}{:>9}{:>9}{:>9}{:>5}  {:<4}{}",
            format!("{}{unit}", self.figure),
            limit,
            number(median),
            number(least),
            number(p95),
            number(most),
            self.values.len(),
            ok,
            self.bare
        )
    }
}

/// The table's head.
pub fn head() -> String {
    format!(
        "{:<46}{:>7}{:>9}{:>9}{:>9}{:>9}{:>5}  {:<4}{}",
        "figure", "limit", "median", "min", "p95", "max", "n", "ok", "bare client (issue)"
    )
}
