//! How what several runs of one side have becomes one value.

/// What is made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Together {
    /// The largest: of maxima.
    Largest,
    /// The mean.
    Mean,
}

impl Together {
    /// The value of a side; `None` where one of its runs has none: what is infinite has no mean.
    pub(crate) fn of(self, values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
        let values: Vec<f64> = values.into_iter().collect::<Option<_>>()?;
        match self {
            Self::Largest => values.into_iter().reduce(f64::max),
            Self::Mean => (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_a_largest_value_and_a_mean_and_one_that_lacks_it_leaves_the_side_without() {
        let of = |together: Together, values: &[Option<f64>]| together.of(values.iter().copied());
        assert_eq!((of(Together::Largest, &[Some(1.0), Some(3.0)]), of(Together::Mean, &[Some(1.0), Some(3.0)])), (Some(3.0), Some(2.0)));
        for together in [Together::Largest, Together::Mean] {
            assert_eq!((of(together, &[Some(1.0), None]), of(together, &[])), (None, None));
        }
    }
}
