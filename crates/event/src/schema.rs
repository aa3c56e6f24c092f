//! How the words that check their own form look in the API document. Everything else derives it; nothing is checked here.

use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::{Digest, TaskId};

fn text(description: &str, pattern: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description)).pattern(Some(pattern)).into()
}

impl PartialSchema for TaskId {
    fn schema() -> RefOr<Schema> {
        text("The name of a task.", "^[a-z0-9][a-z0-9-]{0,63}$")
    }
}

impl ToSchema for TaskId {}

impl PartialSchema for Digest {
    fn schema() -> RefOr<Schema> {
        text("A SHA-256 digest in hex.", "^[0-9a-f]{64}$")
    }
}

impl ToSchema for Digest {}
