//! Medians and what goes with them.

/// The value in the middle, or between the two there; `None` of nothing.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// The smallest value.
pub(super) fn minimum(values: &[f64]) -> Option<f64> {
    values.iter().copied().min_by(f64::total_cmp)
}

/// The distance from the smallest value to the largest, as a part of the median. One value has none.
pub(super) fn spread(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let largest = values.iter().copied().max_by(f64::total_cmp)?;
    ratio(largest - minimum(values)?, median(values)?)
}

/// How many times the other; `None` where that says nothing.
pub(super) fn ratio(value: f64, other: f64) -> Option<f64> {
    (value >= 0.0 && other > 0.0).then(|| value / other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_spread_is_a_part_of_the_median() {
        assert_eq!(spread(&[8.0, 10.0, 13.0]), Some(0.5));
        assert_eq!(spread(&[8.0, 8.0]), Some(0.0));
        assert_eq!(spread(&[8.0]), None);
        assert_eq!(spread(&[0.0, 0.0]), None);
    }

    #[test]
    fn a_ratio_needs_something_to_compare_with() {
        assert_eq!(ratio(1.0, 4.0), Some(0.25));
        assert_eq!(ratio(0.0, 4.0), Some(0.0));
        assert_eq!(ratio(1.0, 0.0), None);
        assert_eq!(ratio(-1.0, 4.0), None);
        assert_eq!(ratio(1.0, -4.0), None);
    }

    #[test]
    fn a_minimum_may_be_negative() {
        assert_eq!(minimum(&[2.0, -1.0]), Some(-1.0));
        assert_eq!(minimum(&[]), None);
    }
}
