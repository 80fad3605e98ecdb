//! Pieces of schema that a derive cannot say: bounded maps, quantities, names, conditions.
//!
//! A bound is not decoration. The API server multiplies bounds to estimate what a CEL rule may cost and refuses the
//! whole CRD when the product is too large; and what is not bounded may be a megabyte.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::bounds;

/// A map of at most `ENTRIES` strings, none longer than `LENGTH` characters.
pub(super) fn texts<const ENTRIES: u32, const LENGTH: u32>(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": ENTRIES,
        "additionalProperties": {"type": "string", "maxLength": LENGTH},
    })
}

/// As [`texts`], of which one writer owns all.
pub(super) fn atomic_texts<const ENTRIES: u32, const LENGTH: u32>(generate: &mut SchemaGenerator) -> Schema {
    let mut schema = texts::<ENTRIES, LENGTH>(generate);
    schema.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
    schema
}

/// Permits by the names of locks; what a key may look like only a rule can say.
pub(super) fn permits(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 1_000_000},
        "x-kubernetes-validations": [{
            "rule": "self.all(name, name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'))",
            "message": "the name of a lock has letters a to z, digits and -, at most 63, and no - at its ends",
        }],
    })
}

/// What a cluster declares by the names of sizes; what a key may look like only a rule can say.
pub(super) fn sizes<T: JsonSchema>(generate: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": generate.subschema_for::<T>(),
        "x-kubernetes-validations": [{
            "rule": format!("self.all(name, name.matches('{SIZE_NAME}'))"),
            "message": "the name of a size has letters, digits and -, at most 63, and no - at its ends",
        }],
    })
}

/// A DNS label, in capitals as people write sizes, or not.
const SIZE_NAME: &str = "^[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?$";

/// The name of a size.
pub(super) fn size_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 63, "pattern": SIZE_NAME})
}

/// A map of at most `entries` values that one writer owns as a whole.
pub(super) fn atomic_map<T: JsonSchema>(generate: &mut SchemaGenerator, entries: u32) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": entries,
        "x-kubernetes-map-type": "atomic",
        "additionalProperties": generate.subschema_for::<T>(),
    })
}

/// Any JSON object, kept as it is. `additionalProperties: true` would look the same and prune what is nested.
pub(super) fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// The name of a Kubernetes object: a DNS-1123 subdomain.
pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    })
}

/// A name within an object: a DNS-1123 label.
pub(super) fn word(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"})
}

/// At most `ENTRIES` names within an object.
pub(super) fn words<const ENTRIES: u32>(generate: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "minItems": 1, "maxItems": ENTRIES, "x-kubernetes-list-type": "atomic", "items": word(generate),
    })
}

/// Names of Operations, with or without their namespace.
pub(super) fn operation_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": 317,
            "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        },
    })
}

/// Days, hours and minutes: `8h`, `1h30m`, `1d`.
pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 2, "maxLength": 16, "pattern": "^([0-9]{1,2}d)?([0-9]{1,3}h)?([0-9]{1,5}m)?$",
    })
}

/// `08:00`, up to `24:00`.
pub(super) fn time_of_day(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 16, "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"})
}

/// A reason in a word, as conditions have it.
pub(super) fn reason(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": bounds::WORD, "pattern": "^[A-Za-z][A-Za-z0-9]*$"})
}

/// Conditions as Kubernetes knows them, one entry a type.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": bounds::CONDITIONS,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "description": "Its name, in CamelCase.",
                    "type": "string", "maxLength": bounds::WORD, "pattern": "^[A-Za-z][A-Za-z0-9]*$",
                },
                "status": {
                    "description": "True, False or Unknown.",
                    "type": "string", "enum": ["True", "False", "Unknown"],
                },
                "reason": {
                    "description": "Why, in a word.",
                    "type": "string", "minLength": 1, "maxLength": bounds::WORD, "pattern": "^[A-Za-z][A-Za-z0-9]*$",
                },
                "message": {
                    "description": "The same for people. May be empty.",
                    "type": "string", "maxLength": bounds::CONDITION_MESSAGE,
                },
                "lastTransitionTime": {
                    "description": "When its status last changed.",
                    "type": "string", "format": "date-time",
                },
                "observedGeneration": {
                    "description": "The metadata.generation that it speaks of.",
                    "type": "integer", "format": "int64", "minimum": 0,
                },
            },
        },
    })
}

/// A label selector, with its operators checked.
pub(super) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that must all be there with these values.",
                "type": "object",
                "maxProperties": 32,
                "additionalProperties": {"type": "string", "maxLength": 63},
            },
            "matchExpressions": {
                "description": "Requirements that must all hold.",
                "type": "array",
                "maxItems": 32,
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {"description": "Key of the label.", "type": "string", "minLength": 1, "maxLength": 317},
                        "operator": {
                            "description": "In, NotIn, Exists or DoesNotExist.",
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "Values for In and NotIn; none for the others.",
                            "type": "array", "maxItems": 64, "items": {"type": "string", "maxLength": 63},
                        },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                        "fieldPath": ".values",
                        "messageExpression": "'values are for In and NotIn, which need some; the operator is %s'\
                                              .format([self.operator])",
                    }],
                },
            },
        },
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
