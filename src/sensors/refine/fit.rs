//! A correction that makes the HAT agree with a thermometer beside it.
//!
//! Both methods have one number each, which the least squares of what remains tell.

/// What was measured at one moment, beside what a thermometer showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// What the thermometer showed, in °C.
    pub reference: f64,
    /// What the chip said, in °C.
    pub raw: f64,
    /// The temperature of the processor, in °C, where it can be read.
    pub processor: Option<f64>,
}

/// One method with its number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Add so many °C.
    Offset(f64),
    /// `t − (t_cpu − t) / factor`.
    Factor(f64),
}

/// How well a method with its best number does.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The method.
    pub method: Method,
    /// What the corrected temperature is above the thermometer's at each moment, in °C.
    pub residuals: Vec<f64>,
}

impl Fit {
    fn of(method: Method, moments: &[Moment]) -> Option<Self> {
        let residual = |moment: &Moment| Some(method.corrected(moment)? - moment.reference);
        let residuals = moments.iter().map(residual).collect::<Option<Vec<f64>>>()?;
        residuals.iter().all(|residual| residual.is_finite()).then_some(Self { method, residuals })
    }

    /// The best constant; `None` without moments.
    pub fn offset(moments: &[Moment]) -> Option<Self> {
        let sum = moments.iter().map(|moment| moment.reference - moment.raw).sum::<f64>();
        Self::of(Method::Offset(sum / count(moments)?), moments)
    }

    /// The best factor; `None` when the processor's temperature is not known at each moment, and when the chip was not
    /// the warmer the more the processor was above it.
    pub fn factor(moments: &[Moment]) -> Option<Self> {
        let (mut products, mut squares) = (0.0, 0.0);
        for moment in moments {
            let above = (moment.processor? - moment.raw).max(0.0);
            products += above * (moment.raw - moment.reference);
            squares += above * above;
        }
        let part = products / squares;
        (part > 0.0).then_some(()).and_then(|()| Self::of(Method::Factor(part.recip()), moments))
    }

    /// The largest of the residuals, without its sign, in °C.
    pub fn worst(&self) -> f64 {
        self.residuals.iter().fold(0.0, |worst, residual| residual.abs().max(worst))
    }

    /// The root of the mean square of the residuals, in °C.
    pub fn rms(&self) -> f64 {
        let squares = self.residuals.iter().map(|residual| residual * residual).sum::<f64>();
        count(&self.residuals).map_or(0.0, |count| (squares / count).sqrt())
    }
}

impl Method {
    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offset(_) => "offset",
            Self::Factor(_) => "factor",
        }
    }

    /// Its number.
    pub const fn number(self) -> f64 {
        match self {
            Self::Offset(number) | Self::Factor(number) => number,
        }
    }

    fn corrected(self, moment: &Moment) -> Option<f64> {
        match self {
            Self::Offset(offset) => Some(moment.raw + offset),
            Self::Factor(factor) => Some(super::heat::without_heat(moment.raw, moment.processor?, factor)),
        }
    }
}

fn count<T>(values: &[T]) -> Option<f64> {
    u32::try_from(values.len()).ok().filter(|count| *count > 0).map(f64::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(reference: f64, raw: f64, processor: f64) -> Moment {
        Moment { reference, raw, processor: Some(processor) }
    }

    #[test]
    fn a_hat_that_follows_its_processor_is_told_from_one_that_does_not() {
        // raw − reference = (processor − raw) / 2
        let heated = [moment(20.0, 28.0, 44.0), moment(20.0, 35.0, 65.0), moment(22.0, 31.0, 49.0)];
        let factor = Fit::factor(&heated).unwrap();
        assert!((factor.method.number() - 2.0).abs() < 1e-12 && factor.worst() < 1e-12, "{factor:?}");
        assert!(Fit::offset(&heated).unwrap().rms() > 2.0);
        let constant = [moment(20.0, 26.5, 44.0), moment(20.0, 26.5, 80.0)];
        assert_eq!(Fit::offset(&constant).unwrap(), Fit { method: Method::Offset(-6.5), residuals: vec![0.0; 2] });
        assert!(Fit::factor(&constant).unwrap().rms() > 1.0);
    }

    #[test]
    fn what_no_factor_explains_has_none() {
        assert_eq!(Fit::factor(&[moment(25.0, 24.0, 50.0), moment(25.0, 24.5, 60.0)]), None, "cooler than the air");
        assert_eq!(Fit::factor(&[moment(20.0, 24.0, 20.0)]), None, "a cool processor");
        assert_eq!(Fit::factor(&[Moment { reference: 20.0, raw: 24.0, processor: None }]), None);
        assert_eq!((Fit::offset(&[]), Fit::factor(&[])), (None, None));
    }

    proptest! {
        #[test]
        fn no_other_number_near_the_best_does_better(
            moments in prop::collection::vec((0.0..40.0, 0.0..50.0, 0.0..90.0_f64), 1..8),
            nudge in prop::sample::select(vec![0.9, 0.99, 1.01, 1.1]),
        ) {
            let moments = moments.into_iter().map(|(a, b, c)| moment(a, b, c)).collect::<Vec<_>>();
            let best = [Fit::offset(&moments), Fit::factor(&moments)];
            for fit in best.into_iter().flatten() {
                let other = match fit.method {
                    Method::Offset(offset) => Method::Offset(offset + nudge - 1.0),
                    Method::Factor(factor) => Method::Factor(factor * nudge),
                };
                prop_assert!(fit.rms() <= Fit::of(other, &moments).unwrap().rms() + 1e-9, "{:?}", fit);
            }
        }
    }
}
