//! MeterValues from numbers alone.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;

use super::class::{Class, Shape};
use super::construct::{Refusal, member};
use super::memory::{Building, Owned};
use super::sink::tuple;

/// Where a sampled value has its number: the only required member comes first.
const VALUE_SLOT: usize = 0;

/// Builds `MeterValueType`s of one fixed set of sampled values.
///
/// Everything but the numbers is checked once, when the template is made.
#[pyclass(frozen, module = "ocpp_fast._core")]
pub(crate) struct MeterValueTemplate {
    /// The sampled values that are copied.
    samples: Vec<Py<PyAny>>,
    sample_class: &'static Class,
    meter_value_class: &'static Class,
    samples_slot: usize,
    timestamp_slot: usize,
}

#[pymethods]
impl MeterValueTemplate {
    #[new]
    #[pyo3(signature = (sampled_values, /))]
    fn new(py: Python<'_>, sampled_values: &Bound<'_, PyAny>) -> PyResult<Self> {
        let samples: Vec<Py<PyAny>> = sampled_values.extract()?;
        let first = samples.first().ok_or_else(|| PyValueError::new_err("no sampled values"))?;
        // SAFETY: the GIL is held and the object alive.
        let sample_class = unsafe { Class::of_any(first.as_ptr()) }.ok_or_else(no_sample)?;
        for sample in &samples {
            // SAFETY: as above.
            let class = unsafe { Class::of_any(sample.as_ptr()) };
            if !class.is_some_and(|class| std::ptr::eq(class, sample_class)) {
                return Err(no_sample());
            }
        }
        let Shape::Message { version, .. } = sample_class.shape else {
            return Err(no_sample());
        };
        if sample_class.short_name() != "SampledValueType"
            || sample_class.slot_named("value") != Some(VALUE_SLOT)
        {
            return Err(no_sample());
        }
        let meter_value_class =
            super::registry::class_by_name(py, version.schema.version, "MeterValueType")?;
        let slot = |class: &Class, name| class.slot_named(name).ok_or_else(no_sample);
        Ok(Self {
            samples_slot: slot(meter_value_class, "sampled_value")?,
            timestamp_slot: slot(meter_value_class, "timestamp")?,
            samples,
            sample_class,
            meter_value_class,
        })
    }

    /// A `MeterValueType` of `timestamp` with `values`, one number for each sampled value of the
    /// template, in its order. Raises `ValidationError` for a number that is not finite.
    #[pyo3(signature = (timestamp, values, /))]
    fn meter_value<'py>(
        &self,
        py: Python<'py>,
        timestamp: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the GIL is held, the arguments are alive.
        unsafe {
            match self.build(py, timestamp.as_ptr(), values.as_ptr()) {
                Ok(message) => Ok(Bound::from_owned_ptr(py, message.into_ptr())),
                Err(refusal) => {
                    refusal.raise();
                    Err(PyErr::fetch(py))
                }
            }
        }
    }

    fn __len__(&self) -> usize {
        self.samples.len()
    }
}

impl MeterValueTemplate {
    unsafe fn build(
        &self,
        py: Python<'_>,
        timestamp: *mut ffi::PyObject,
        values: *mut ffi::PyObject,
    ) -> Result<Owned, Refusal> {
        // SAFETY: the GIL is held, the arguments are alive; `values` becomes a tuple that nobody
        // else can change.
        unsafe {
            let values = ffi::PySequence_Tuple(values);
            if values.is_null() {
                return Err(Refusal::Error);
            }
            let values = Owned::new(values);
            if ffi::PyTuple_GET_SIZE(values.as_ptr()).cast_unsigned() != self.samples.len() {
                let message = format!("expected {} values", self.samples.len());
                PyValueError::new_err(message).restore(py);
                return Err(Refusal::Error);
            }
            let mut samples = Vec::with_capacity(self.samples.len());
            for (index, sample) in self.samples.iter().enumerate() {
                let value = ffi::PyTuple_GET_ITEM(values.as_ptr(), index.cast_signed());
                let sample = self.sample(sample.as_ptr(), value).map_err(|refusal| {
                    refusal.located(|violation| {
                        violation.in_item(index);
                        violation.in_member("sampledValue");
                    })
                })?;
                samples.push(sample);
            }
            let mut building = Building::new(self.meter_value_class);
            if let Some(timestamp) = member(self.meter_value_class, self.timestamp_slot, timestamp)?
            {
                building.set(self.timestamp_slot, timestamp);
            }
            building.set(self.samples_slot, tuple(samples.into_iter()));
            super::construct::check_required(self.meter_value_class, &building)?;
            Ok(building.finish())
        }
    }

    /// A copy of `sample` with another value.
    unsafe fn sample(
        &self,
        sample: *mut ffi::PyObject,
        value: *mut ffi::PyObject,
    ) -> Result<Owned, Refusal> {
        // SAFETY: `sample` is of the sample class, the GIL is held.
        unsafe {
            let class = self.sample_class;
            let mut building = Building::new(class);
            building.copy_from(sample, VALUE_SLOT + 1);
            if let Some(value) = member(class, VALUE_SLOT, value)? {
                building.set(VALUE_SLOT, value);
            }
            Ok(building.finish())
        }
    }
}

#[cold]
fn no_sample() -> PyErr {
    PyTypeError::new_err("expected SampledValueTypes of one version")
}
