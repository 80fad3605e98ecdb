//! The `CustomResourceDefinitions` as they are installed: what the derive makes, made fit for people and for the rules.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use super::{ComputeCluster, ManagedJob, Operation, RunLedger};

/// All `CustomResourceDefinitions`, by name.
///
/// No field is nullable: the API server drops an explicit null as if the field were not there, so that none is ever
/// stored and every CEL rule sees one kind of absence.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let mut all = vec![ComputeCluster::crd(), ManagedJob::crd(), Operation::crd(), RunLedger::crd()];
    for version in all.iter_mut().flat_map(|crd| &mut crd.spec.versions) {
        if let Some(schema) = version.schema.as_mut().and_then(|validation| validation.open_api_v3_schema.as_mut()) {
            schema.title = None;
            tidy(schema);
        }
    }
    all
}

/// Forbid null and join the lines of descriptions, here and in everything below.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.description = schema.description.take().map(|text| joined(&text));
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(tidy);
    match schema.items.as_mut() {
        Some(JSONSchemaPropsOrArray::Schema(items)) => tidy(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = schema.additional_properties.as_mut() {
        tidy(values);
    }
}

/// Paragraphs stay apart; the line breaks inside them are the source's and mean nothing to a reader.
fn joined(text: &str) -> String {
    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}
