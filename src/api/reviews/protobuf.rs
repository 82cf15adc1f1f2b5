//! Kubernetes' protobuf, as far as questions about oneself need it: an envelope, and the fields that
//! are read. Field numbers are those of the `generated.proto` files that Kubernetes publishes.

use prost::Message;

use crate::api::error::ApiError;
use crate::api::wire::{
    AccessReview, AccessReviewSpec, NonResourceAttributes, ResourceAttributes, RulesReview, RulesReviewSpec,
    SelfReview,
};

/// What the envelope begins with.
const MAGIC: &[u8] = b"k8s\0";
/// No question is longer.
const LONGEST: usize = 64 << 10;

/// The envelope: `runtime.Unknown`.
#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AccessReviewMessage {
    #[prost(message, optional, tag = "2")]
    spec: Option<AccessReviewSpecMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct AccessReviewSpecMessage {
    #[prost(message, optional, tag = "1")]
    resource: Option<ResourceMessage>,
    #[prost(message, optional, tag = "2")]
    path: Option<PathMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceMessage {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    verb: String,
    #[prost(string, tag = "3")]
    group: String,
    #[prost(string, tag = "4")]
    version: String,
    #[prost(string, tag = "5")]
    resource: String,
    #[prost(string, tag = "6")]
    subresource: String,
    #[prost(string, tag = "7")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct PathMessage {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    verb: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RulesReviewMessage {
    #[prost(message, optional, tag = "2")]
    spec: Option<RulesReviewSpecMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct RulesReviewSpecMessage {
    #[prost(string, tag = "1")]
    namespace: String,
}

/// Nothing of it is a question.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SelfReviewMessage {}

/// What can be asked in protobuf.
pub(super) trait FromProtobuf: Sized {
    /// As it is sent.
    type Message: Message + Default + Into<Self>;
}

/// Reads a question in its envelope.
pub(super) fn read<T: FromProtobuf>(bytes: &[u8]) -> Result<T, ApiError> {
    let wrong = || ApiError::BadRequest("the body is not Kubernetes' protobuf of what is asked here".into());
    let bytes = bytes.strip_prefix(MAGIC).filter(|bytes| bytes.len() <= LONGEST).ok_or_else(wrong)?;
    let envelope = Unknown::decode(bytes).map_err(|_| wrong())?;
    T::Message::decode(envelope.raw.as_slice()).map(Into::into).map_err(|_| wrong())
}

impl FromProtobuf for AccessReview {
    type Message = AccessReviewMessage;
}

impl FromProtobuf for RulesReview {
    type Message = RulesReviewMessage;
}

impl FromProtobuf for SelfReview {
    type Message = SelfReviewMessage;
}

impl From<AccessReviewMessage> for AccessReview {
    fn from(message: AccessReviewMessage) -> Self {
        let AccessReviewSpecMessage { resource, path } = message.spec.unwrap_or_default();
        let resource_attributes = resource.map(|resource| {
            let ResourceMessage { namespace, verb, group, version, resource, subresource, name } = resource;
            ResourceAttributes { namespace, verb, group, version, resource, subresource, name }
        });
        let non_resource_attributes =
            path.map(|PathMessage { path, verb }| NonResourceAttributes { path, verb });
        Self { spec: AccessReviewSpec { resource_attributes, non_resource_attributes }, ..Self::default() }
    }
}

impl From<RulesReviewMessage> for RulesReview {
    fn from(message: RulesReviewMessage) -> Self {
        let RulesReviewSpecMessage { namespace } = message.spec.unwrap_or_default();
        Self { spec: RulesReviewSpec { namespace }, ..Self::default() }
    }
}

impl From<SelfReviewMessage> for SelfReview {
    fn from(_: SelfReviewMessage) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enveloped(raw: Vec<u8>) -> Vec<u8> {
        let type_meta = Some(TypeMeta { api_version: "authorization.k8s.io/v1".into(), kind: "X".into() });
        [MAGIC, &Unknown { type_meta, raw }.encode_to_vec()].concat()
    }

    #[test]
    fn a_question_in_an_envelope_is_read_and_anything_else_refused() {
        let resource =
            ResourceMessage { verb: "create".into(), resource: "games".into(), ..Default::default() };
        let spec = AccessReviewSpecMessage { resource: Some(resource), path: None };
        let bytes = enveloped(AccessReviewMessage { spec: Some(spec) }.encode_to_vec());
        let review: AccessReview = read(&bytes).unwrap();
        let about = review.spec.resource_attributes.unwrap();
        assert_eq!((about.verb.as_str(), about.resource.as_str()), ("create", "games"));

        // As kubectl sends them: `metadata` is there, and empty.
        let review: RulesReview = read(&enveloped(b"\x0a\x00\x12\x04\x0a\x02s7".to_vec())).unwrap();
        assert_eq!(review.spec.namespace, "s7");
        for wrong in [&b""[..], b"k8s", b"{}", &bytes[4..], &bytes[..bytes.len() - 1], b"k8s\0\xff\xff\xff"] {
            assert!(read::<AccessReview>(wrong).is_err(), "{wrong:?}");
        }
        assert!(read::<AccessReview>(&enveloped(vec![0; LONGEST])).is_err());
    }
}
