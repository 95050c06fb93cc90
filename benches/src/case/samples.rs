//! What a case has measured, and how long it may take.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// How much time a case takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// For figures to keep.
    Full,
    /// For a look.
    Quick,
}

impl Scale {
    /// One of the two.
    pub fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Scale::Full => full,
            Scale::Quick => quick,
        }
    }
}

/// The samples of each measure by its name. It prints as the line that the comparison reads: `NAME=SAMPLE,SAMPLE NAME=…`.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<&'static str, Vec<f64>>);

impl Samples {
    /// Adds a sample.
    pub(super) fn add(&mut self, measure: &'static str, sample: f64) {
        self.0.entry(measure).or_default().push(sample);
    }

    /// With a sample more.
    pub(super) fn with(mut self, measure: &'static str, sample: f64) -> Samples {
        self.add(measure, sample);
        self
    }

    /// Runs `once` again and again until there is enough, but for the first time, which warms up.
    pub(super) fn collect(scale: Scale, mut once: impl FnMut(&mut Samples)) -> Samples {
        once(&mut Samples::default());
        let budget = Duration::from_millis(scale.pick(400, 60));
        let (fewest, most) = scale.pick((3, 40), (2, 10));
        let mut samples = Samples::default();
        let begun = Instant::now();
        let mut runs = 0;
        while runs < fewest || (runs < most && begun.elapsed() < budget) {
            once(&mut samples);
            runs += 1;
        }
        samples
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (measure, samples)) in self.0.iter().enumerate() {
            let samples: Vec<String> = samples.iter().map(|sample| format!("{sample:.3}")).collect();
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{measure}={}", samples.join(","))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_print_as_a_line() {
        let mut samples = Samples::default().with("ns", 12.5).with("extra_ns", -1.0);
        samples.add("ns", 13.0);
        assert_eq!(samples.to_string(), "extra_ns=-1.000 ns=12.500,13.000");
    }

    #[test]
    fn the_first_run_does_not_count() {
        let mut runs = 0.0;
        let samples = Samples::collect(Scale::Quick, |samples| {
            samples.add("run", runs);
            runs += 1.0;
        });
        assert_eq!(samples.to_string(), "run=1.000,2.000,3.000,4.000,5.000,6.000,7.000,8.000,9.000,10.000");
    }
}
