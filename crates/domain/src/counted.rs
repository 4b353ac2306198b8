//! Numbers of things in sentences.

/// `1 delivery`, `2 deliveries`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    let what = if count == 1 { one } else { many };
    format!("{count} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(0, "delivery", "deliveries"), "0 deliveries");
        assert_eq!(counted(1, "delivery", "deliveries"), "1 delivery");
        assert_eq!(counted(2, "delivery", "deliveries"), "2 deliveries");
    }
}
