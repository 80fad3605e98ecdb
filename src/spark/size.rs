//! Sizes as Spark and Kubernetes write them.
//!
//! Spark's sizes follow `JavaUtils.byteStringAs` (digits, then a unit of 1024s in any case); Kubernetes' quantities are
//! taken in the forms that people use for processors and memory. What neither would accept, and notations that hardly
//! anybody means (exponents, fractions of bytes), are refused with the field's path and value.

use super::error::BuildError;

const SPARK_SIZE: &str = "a size in Spark's notation, such as 512m or 4g";
const CORES: &str = "a processor quantity above zero, such as 500m, 1 or 1.5";
const BYTES: &str = "a memory quantity above zero, such as 512Mi or 4Gi";
const FACTOR: &str = "a number of at least 0, such as 0.1";

/// 64 TiB: more than any pod has, and far from where sums overflow.
const MOST_MIB: u64 = 64 << 20;
const MOST_MILLI_CORES: u64 = 10_000_000;
const MIB: u64 = 1 << 20;

/// Unit that a Spark property counts in when its value has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    /// `spark.memory.offHeap.size`.
    Bytes,
    /// Every other memory size.
    Mebibytes,
}

/// MiB of a Spark size, cut down to whole MiB as Spark does.
pub(super) fn spark_mib(path: &str, value: &str, bare: Bare) -> Result<u64, BuildError> {
    spark_bytes(value, bare)
        .map(|bytes| bytes / MIB)
        .filter(|mib| *mib <= MOST_MIB)
        .ok_or_else(|| BuildError::malformed(path, value, SPARK_SIZE))
}

fn spark_bytes(value: &str, bare: Bare) -> Option<u64> {
    let text = value.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let unit: u64 = match (&text[digits.len()..], bare) {
        ("", Bare::Mebibytes) | ("m" | "mb", _) => MIB,
        ("", Bare::Bytes) | ("b", _) => 1,
        ("k" | "kb", _) => 1 << 10,
        ("g" | "gb", _) => 1 << 30,
        ("t" | "tb", _) => 1 << 40,
        ("p" | "pb", _) => 1 << 50,
        _ => return None,
    };
    whole(digits)?.checked_mul(unit)
}

/// Thousandths of a core of a Kubernetes quantity, rounded up as the scheduler does.
pub(super) fn milli_cores(path: &str, value: &str) -> Result<u64, BuildError> {
    let milli = match value.strip_suffix('m') {
        Some(digits) => whole(digits),
        None => decimal(value, 1000),
    };
    milli
        .filter(|milli| (1..=MOST_MILLI_CORES).contains(milli))
        .ok_or_else(|| BuildError::malformed(path, value, CORES))
}

/// Thousandths of a core of a Kubernetes quantity (`500m`, `1`, `1.5`), rounded up.
///
/// # Errors
/// [`BuildError::Malformed`] with `path` for anything else, zero included.
pub fn cpu_quantity(path: &str, value: &str) -> Result<u64, BuildError> {
    milli_cores(path, value)
}

/// Bytes of a Kubernetes memory quantity (`512Mi`, `4Gi`, `1.5Gi`, `2G`, plain bytes), rounded up.
///
/// # Errors
/// [`BuildError::Malformed`] with `path` for anything else (`1e3Gi`, `-1`, `500m`), zero included.
pub fn memory_quantity(path: &str, value: &str) -> Result<u64, BuildError> {
    let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: Option<u64> = match &value[number.len()..] {
        "" => Some(1),
        "k" => Some(1000),
        "M" => Some(1_000_000),
        "G" => Some(1_000_000_000),
        "T" => Some(1_000_000_000_000),
        "Ki" => Some(1 << 10),
        "Mi" => Some(MIB),
        "Gi" => Some(1 << 30),
        "Ti" => Some(1 << 40),
        _ => None,
    };
    unit.and_then(|unit| decimal(number, unit))
        .filter(|bytes| (1..=MOST_MIB * MIB).contains(bytes))
        .ok_or_else(|| BuildError::malformed(path, value, BYTES))
}

/// A factor such as Spark's memory overhead factors.
pub(super) fn factor(path: &str, value: &str) -> Result<f64, BuildError> {
    let plain = value.trim();
    let digits_only = !plain.is_empty() && plain.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number = if digits_only { plain.parse::<f64>().ok() } else { None };
    number.filter(|n| (0.0..=100.0).contains(n)).ok_or_else(|| BuildError::malformed(path, value, FACTOR))
}

/// A Spark boolean: `true` or `false` in any case.
pub(super) fn boolean(path: &str, value: &str) -> Result<bool, BuildError> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(BuildError::malformed(path, value, "true or false")),
    }
}

/// `1.5` times `unit`, rounded up; digits with at most one point, and digits on its left.
fn decimal(text: &str, unit: u64) -> Option<u64> {
    let (left, right) = text.split_once('.').unwrap_or((text, "0"));
    let scale = 10_u128.checked_pow(u32::try_from(right.len()).ok().filter(|digits| *digits <= 18)?)?;
    let scaled = u128::from(whole(left)?).checked_mul(scale)?.checked_add(u128::from(whole(right)?))?;
    u64::try_from(scaled.checked_mul(u128::from(unit))?.div_ceil(scale)).ok()
}

fn whole(digits: &str) -> Option<u64> {
    let plain = (1..=18).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_spark_sizes_as_spark_does() {
        for (text, mib) in [
            ("512m", 512),
            ("1g", 1024),
            ("1024", 1024),
            ("2GB", 2048),
            (" 1g ", 1024),
            ("1500k", 1),
            ("1t", 1 << 20),
            ("0", 0),
            ("1048576b", 1),
        ] {
            assert_eq!(spark_mib("p", text, Bare::Mebibytes), Ok(mib), "{text}");
        }
        assert_eq!(spark_mib("p", "1073741824", Bare::Bytes), Ok(1024));
    }

    #[test]
    fn refuses_what_spark_would_not_read() {
        for text in
            ["", "g", "1.5g", "-1g", "1 g", "1gi", "1Mi", "0x10", "1e3m", "９m", "99999999999999999999g", "1000p"]
        {
            let error = spark_mib("application.driver.memory", text, Bare::Mebibytes).unwrap_err().to_string();
            assert!(error.starts_with(&format!("application.driver.memory is {text:?}")), "{error}");
        }
    }

    #[test]
    fn reads_processor_quantities_and_rounds_up() {
        for (text, milli) in [("500m", 500), ("1", 1000), ("1.5", 1500), ("0.1", 100), ("0.0005", 1), ("2.0001", 2001)]
        {
            assert_eq!(milli_cores("p", text), Ok(milli), "{text}");
        }
    }

    #[test]
    fn refuses_odd_processor_quantities() {
        for text in ["", "0", "0m", "-1", "1e3", "1k", ".5", "1.", "1.2.3", "0.5m", "1 ", "m", "99999999", "1.5.m"] {
            assert!(cpu_quantity("p", text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_memory_quantities() {
        for (text, bytes) in
            [("512Mi", 512 << 20), ("4Gi", 4 << 30), ("1.5Gi", 3 << 29), ("2G", 2_000_000_000), ("100", 100)]
        {
            assert_eq!(memory_quantity("p", text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn refuses_odd_memory_quantities() {
        for text in ["", "1e3Gi", "1e3", "0", "-1Gi", "1 Gi", "1GiB", "500m", "Gi", "1gi", "1.5.5Gi", "1Ei", "65537Ti"]
        {
            assert!(memory_quantity("p", text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_factors_and_booleans_strictly() {
        assert_eq!(factor("p", "0.4"), Ok(0.4));
        assert_eq!(boolean("p", " TRUE "), Ok(true));
        for text in ["", "NaN", "inf", "-0.1", "1e9", "0.4f", "101", "."] {
            assert!(factor("p", text).is_err(), "{text}");
        }
        for text in ["", "yes", "1", "${env:X}"] {
            assert!(boolean("p", text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}") {
            let _ = (spark_mib("p", &text, Bare::Bytes), milli_cores("p", &text), memory_quantity("p", &text));
            let _ = (factor("p", &text), boolean("p", &text));
        }

        #[test]
        fn numbers_never_panic(text in "[0-9.]{1,40}[a-zA-Z]{0,3}") {
            let _ = (spark_mib("p", &text, Bare::Bytes), milli_cores("p", &text), memory_quantity("p", &text));
        }
    }
}
