//! HTTP/1.1, as much of it as the contract needs, and answers that no client should have to take.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::thread::{park, sleep};
use std::time::Duration;

use serde_json::{Value, json};

const MAX_HEAD: usize = 16 * 1024;
const MAX_BODY: u64 = 1024 * 1024;

/// A request, read completely.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// What came in.
#[derive(Debug)]
pub(crate) enum Incoming {
    Request(Request),
    /// Not understood: answer this and close.
    Bad(Answer),
    End,
}

/// An answer, or a way to give none.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Whole(Vec<u8>),
    /// One byte at a time.
    Dripped(Vec<u8>, Duration),
    Endless,
    /// Nothing is sent, the connection stays open.
    Silence,
    /// Nothing is sent, the connection is closed.
    Dropped,
}

impl Answer {
    pub(crate) fn json(status: u16, value: &Value) -> Answer {
        let headers = vec![("content-type", "application/json".to_string())];
        Answer { status, headers, body: Body::Whole(value.to_string().into_bytes()) }
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Answer {
        Answer::json(status, &json!({ "error": { "code": code, "message": message } }))
    }

    pub(crate) fn text(status: u16, text: &str) -> Answer {
        let headers = vec![("content-type", "text/plain".to_string())];
        Answer { status, headers, body: Body::Whole(text.as_bytes().to_vec()) }
    }

    pub(crate) fn endless() -> Answer {
        Answer { status: 200, headers: Vec::new(), body: Body::Endless }
    }

    pub(crate) fn silence() -> Answer {
        Answer { status: 0, headers: Vec::new(), body: Body::Silence }
    }

    pub(crate) fn dropped() -> Answer {
        Answer { status: 0, headers: Vec::new(), body: Body::Dropped }
    }

    pub(crate) fn with(mut self, name: &'static str, value: String) -> Answer {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn dripped(mut self, gap: Duration) -> Answer {
        if let Body::Whole(bytes) = self.body {
            self.body = Body::Dripped(bytes, gap);
        }
        self
    }

    /// Sends it; whether the connection can serve another request.
    pub(crate) fn send(self, out: &mut impl Write, keep: bool) -> io::Result<bool> {
        let length = match &self.body {
            Body::Whole(bytes) | Body::Dripped(bytes, _) => Some(bytes.len()),
            Body::Endless => None,
            Body::Silence => loop {
                park();
            },
            Body::Dropped => return Ok(false),
        };
        let keep = keep && length.is_some();
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            // A knob must not be able to break the answer's frame by accident.
            head.push_str(&format!("{name}: {}\r\n", value.replace(['\r', '\n'], " ")));
        }
        match length {
            Some(length) => head.push_str(&format!("content-length: {length}\r\n")),
            None => head.push_str("transfer-encoding: chunked\r\n"),
        }
        head.push_str(if keep { "\r\n" } else { "connection: close\r\n\r\n" });
        let mut bytes = head.into_bytes();
        match self.body {
            Body::Whole(body) => {
                bytes.extend(body);
                out.write_all(&bytes)?;
            }
            Body::Dripped(body, gap) => {
                out.write_all(&bytes)?;
                for byte in body {
                    out.write_all(&[byte])?;
                    out.flush()?;
                    sleep(gap);
                }
            }
            Body::Endless => {
                out.write_all(&bytes)?;
                out.write_all(b"2\r\n{\"\r\n")?;
                let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000));
                loop {
                    out.write_all(chunk.as_bytes())?;
                }
            }
            Body::Silence | Body::Dropped => {}
        }
        out.flush()?;
        Ok(keep)
    }
}

/// Reads one request.
pub(crate) fn read(from: &mut BufReader<impl Read>) -> io::Result<Incoming> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let line = from.by_ref().take((MAX_HEAD - head.len()) as u64).read_until(b'\n', &mut head)?;
        if line == 0 && head.is_empty() {
            return Ok(Incoming::End);
        }
        if line == 0 {
            return Ok(Incoming::Bad(Answer::error(431, "head", "the head is cut off or too long")));
        }
        if head == b"\r\n" {
            // Allowed between requests.
            head.clear();
        }
    }
    let mut request = match parse(&head) {
        Ok(request) => request,
        Err(problem) => return Ok(Incoming::Bad(Answer::error(400, "head", &problem))),
    };
    if request.header("transfer-encoding").is_some() {
        return Ok(Incoming::Bad(Answer::error(411, "length", "send a content-length")));
    }
    let length = match request.header("content-length").map(str::parse::<u64>) {
        None => 0,
        Some(Ok(length)) if length <= MAX_BODY => length,
        Some(Ok(_)) => return Ok(Incoming::Bad(Answer::error(413, "tooLarge", "the body is too large"))),
        Some(Err(_)) => {
            return Ok(Incoming::Bad(Answer::error(400, "length", "the content-length is no number")));
        }
    };
    request.body.resize(length as usize, 0);
    from.read_exact(&mut request.body)?;
    Ok(Incoming::Request(request))
}

fn parse(head: &[u8]) -> Result<Request, String> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(head).map_err(|problem| problem.to_string())?;
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
        return Err("no request line".into());
    };
    let headers = parsed
        .headers
        .iter()
        .map(|h| (h.name.to_ascii_lowercase(), String::from_utf8_lossy(h.value).trim().to_string()))
        .collect();
    let path = target.split('?').next().unwrap_or_default().to_string();
    Ok(Request { method: method.into(), path, headers, body: Vec::new() })
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        428 => "Precondition Required",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> Incoming {
        read(&mut BufReader::new(text.as_bytes())).expect("no i/o error")
    }

    #[test]
    fn a_request_is_read_with_its_body() {
        let Incoming::Request(request) =
            read_all("PUT /a?b=c HTTP/1.1\r\nIf-Match: \"4\"\r\ncontent-length: 2\r\n\r\nhi")
        else {
            panic!("no request");
        };
        assert_eq!(
            (request.path.as_str(), request.header("if-match"), &*request.body),
            ("/a", Some("\"4\""), &b"hi"[..])
        );
    }

    #[test]
    fn nonsense_is_answered_not_suffered() {
        assert!(matches!(read_all(""), Incoming::End));
        assert!(matches!(read_all("hello\r\n\r\n"), Incoming::Bad(_)));
        assert!(matches!(read_all(&"a".repeat(100_000)), Incoming::Bad(_)));
        assert!(matches!(read_all("PUT / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n"), Incoming::Bad(_)));
    }

    #[test]
    fn an_answer_is_framed() {
        let mut out = Vec::new();
        let keep = Answer::text(200, "ok").send(&mut out, true).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert!(keep && text.ends_with("content-length: 2\r\n\r\nok"), "{text}");
    }
}
