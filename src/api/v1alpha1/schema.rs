//! Pieces of schema that a derive cannot say: bounded maps and quantities.
//!
//! A bound is not decoration. The API server multiplies bounds to estimate what a CEL rule may cost and refuses the
//! whole CRD when the product is too large; and what is not bounded may be a megabyte.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A map of at most `ENTRIES` strings, none longer than `LENGTH` characters.
pub(super) fn texts<const ENTRIES: u32, const LENGTH: u32>(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": ENTRIES,
        "additionalProperties": {"type": "string", "maxLength": LENGTH},
    })
}

/// A processor quantity above zero: `500m`, `1`, `1.5`; a bare whole number is accepted as well.
pub(super) fn cpu(_: &mut SchemaGenerator) -> Schema {
    quantity(r"^([0-9]{1,7}m|[0-9]{1,4}(\.[0-9]{1,3})?)$", "must be a processor quantity above zero, such as 500m or 2")
}

/// A memory quantity above zero, in bytes with a suffix: `512Mi`, `4Gi`, `2G`.
pub(super) fn bytes(_: &mut SchemaGenerator) -> Schema {
    quantity(
        r"^[0-9]{1,15}(\.[0-9]{1,3})?([kMGT]|[KMGT]i)?$",
        "must be a memory quantity above zero, such as 4Gi or 512Mi",
    )
}

fn quantity(pattern: &str, message: &str) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "maxLength": 20,
        "pattern": pattern,
        "x-kubernetes-validations": [{
            "rule": "type(self) == int ? self > 0 : quantity(string(self)).isGreaterThan(quantity('0'))",
            "message": message,
        }],
    })
}
