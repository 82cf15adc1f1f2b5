//! Watches: what there is, and then every change, as the server tells it.

use futures::{Stream, StreamExt, TryStreamExt};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::io::StreamReader;

use super::error::Refusal;
use super::{ANSWER, Client, ClientError, Object};

/// No object is larger: the API takes none that is.
const LONGEST_LINE: usize = 8 << 20;

/// What a line of a watch tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// The object is so now.
    Is(Object),
    /// The object is there no more, or is none of those that are watched.
    Gone(Object),
    /// Everything that there was at the beginning has been told.
    All,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    word: String,
    object: Value,
}

impl Client {
    /// Everything there is at a path, word that this was all, and every change from then on. It ends
    /// when the server ends it, which is no failure.
    ///
    /// # Errors
    /// The server could not be asked, or refused.
    pub(crate) async fn watch(
        &self,
        path: &str,
        selectors: &[(&'static str, String)],
    ) -> Result<impl Stream<Item = Result<Told, ClientError>> + Send + use<>, ClientError> {
        let mut query = vec![
            ("watch", "true".to_owned()),
            ("allowWatchBookmarks", "true".to_owned()),
            ("sendInitialEvents", "true".to_owned()),
            ("resourceVersionMatch", "NotOlderThan".to_owned()),
        ];
        query.extend_from_slice(selectors);
        // It has no end, so only the beginning of the answer has a deadline.
        let request = self.http.request(Method::GET, self.url(path, &query)).send();
        let answer = tokio::time::timeout(ANSWER, request)
            .await
            .map_err(|_| ClientError::TimedOut { server: self.server().into(), after: ANSWER })?
            .map_err(|error| self.error(&error))?;
        let status = answer.status();
        if !status.is_success() {
            let body = answer.bytes().await.map_err(|error| self.error(&error))?;
            return Err(ClientError::Refused(Box::new(Refusal::read(status.as_u16(), &body))));
        }
        let bytes = StreamReader::new(answer.bytes_stream().map_err(std::io::Error::other));
        let lines = FramedRead::new(bytes, LinesCodec::new_with_max_length(LONGEST_LINE));
        Ok(lines.map(|line| read(&line.map_err(broken)?)).try_filter_map(async |told| Ok(told)))
    }
}

fn broken(error: LinesCodecError) -> ClientError {
    ClientError::Broken(error.to_string())
}

/// Nothing of what is of no interest.
fn read(line: &str) -> Result<Option<Told>, ClientError> {
    let Line { word, object } =
        serde_json::from_str(line).map_err(|error| ClientError::Broken(error.to_string()))?;
    match word.as_str() {
        "ADDED" | "MODIFIED" => Ok(Some(Told::Is(Object::received(object)))),
        "DELETED" => Ok(Some(Told::Gone(Object::received(object)))),
        "BOOKMARK" => {
            let all = &object["metadata"]["annotations"]["k8s.io/initial-events-end"];
            Ok((all == "true").then_some(Told::All))
        }
        "ERROR" => {
            let refusal: Refusal =
                serde_json::from_value(object).map_err(|error| ClientError::Broken(error.to_string()))?;
            Err(ClientError::Refused(Box::new(refusal)))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_what_a_newer_server_says_beside_is_left_alone() {
        let told = |line: &str| match read(line) {
            Ok(Some(Told::Is(object))) => format!("is {}", object.name()),
            Ok(Some(Told::Gone(object))) => format!("gone {}", object.name()),
            Ok(Some(Told::All)) => "all".into(),
            Ok(None) => "nothing".into(),
            Err(error) => error.to_string(),
        };
        let object = r#"{"metadata":{"name":"a"}}"#;
        assert_eq!(told(&format!(r#"{{"type":"ADDED","object":{object}}}"#)), "is a");
        assert_eq!(told(&format!(r#"{{"type":"MODIFIED","object":{object}}}"#)), "is a");
        assert_eq!(told(&format!(r#"{{"type":"DELETED","object":{object}}}"#)), "gone a");
        assert_eq!(told(&format!(r#"{{"type":"LATER","object":{object}}}"#)), "nothing");
        assert_eq!(told(&format!(r#"{{"type":"BOOKMARK","object":{object}}}"#)), "nothing");
        let end = r#"{"metadata":{"annotations":{"k8s.io/initial-events-end":"true"}}}"#;
        assert_eq!(told(&format!(r#"{{"type":"BOOKMARK","object":{end}}}"#)), "all");
        let gone = r#"{"type":"ERROR","object":{"code":410,"reason":"Expired","message":"too old"}}"#;
        assert_eq!(told(gone), "too old");
        assert!(read("nonsense").is_err() && read("{}").is_err());
    }
}
