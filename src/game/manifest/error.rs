//! What is wrong with manifests, told so that scripts can grep it and people can see it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// A text with its name.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    named: NamedSource<String>,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Source {
    pub(crate) fn new(name: &str, text: String) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(end, _)| end + 1)).collect();
        Self { name: name.to_owned(), named: NamedSource::new(name, text), lines }
    }

    pub(crate) fn text(&self) -> &str {
        self.named.inner()
    }

    /// Where the line of this byte begins.
    pub(crate) fn line_start(&self, byte: usize) -> usize {
        self.lines[self.line_number(byte) - 1]
    }

    /// Counted from one.
    fn line_number(&self, byte: usize) -> usize {
        self.lines.partition_point(|first| *first <= byte)
    }
}

/// A place in a file. Shown as `file:line:column`, both counted from one, columns in characters.
#[derive(Clone)]
pub struct Place {
    pub(crate) source: Arc<Source>,
    /// From the line in which its document begins to the line in which the next one does.
    pub(crate) document: Range<usize>,
    offset: usize,
    line: usize,
    column: usize,
}

impl Place {
    /// The place of a byte of the text. `document` is where its document stands.
    pub(crate) fn new(source: &Arc<Source>, document: Range<usize>, offset: usize) -> Self {
        let text = source.text();
        let offset = text.floor_char_boundary(offset.min(text.len()));
        Self {
            source: Arc::clone(source),
            document,
            offset,
            line: source.line_number(offset),
            column: text[source.line_start(offset)..offset].chars().count() + 1,
        }
    }

    /// The file's name, as it was given.
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// The line, from one.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column, from one, in characters.
    pub fn column(&self) -> usize {
        self.column
    }

    /// From here to the end of the word or the quoted text, for the mark under it.
    fn length(&self) -> usize {
        let rest = &self.source.text()[self.offset..];
        let line = &rest[..rest.find(['\n', '\r']).unwrap_or(rest.len())];
        let quote = line.chars().next().filter(|c| matches!(c, '"' | '\''));
        let end = match quote {
            Some(quote) => line[1..].find(quote).map(|end| end + 2),
            None => line.find([',', '}', ']', ':']).or_else(|| line.find(" #")),
        };
        line[..end.unwrap_or(line.len())].trim_end().len()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file(), self.line, self.column)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One thing that is wrong with a manifest. Shown as one line: `file:line:column: field: message`.
#[derive(Debug, Clone)]
pub struct ManifestError {
    /// Where.
    pub place: Place,
    /// Path of the field, as in `spec.turns.schedule`; empty if no field is meant.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ManifestError {}

impl Diagnostic for ManifestError {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        let named = &self.place.source.named;
        (!named.inner().is_empty()).then_some(named)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new(Some("here".into()), self.place.offset, self.place.length());
        Some(Box::new(std::iter::once(label)))
    }
}

/// Everything that is wrong with some manifests; never empty. Shown as one line each.
#[derive(Debug, Clone)]
pub struct ManifestErrors(pub Vec<ManifestError>);

impl ManifestErrors {
    /// For a terminal: each error's line, and below it the lines of the file that it speaks of.
    /// `theme` says in which characters and colours.
    pub fn render(&self, theme: &miette::GraphicalTheme) -> String {
        let handler = miette::GraphicalReportHandler::new_themed(theme.clone())
            .with_wrap_lines(false)
            .with_links(false);
        let mut shown = String::new();
        for error in &self.0 {
            shown.push_str(&format!("{error}\n"));
            let mut report = String::new();
            if error.source_code().is_some() && handler.render_report(&mut report, error).is_ok() {
                // Its first line is the message again.
                for line in report.lines().skip_while(|line| line.is_empty()).skip(1) {
                    shown.push_str(line);
                    shown.push('\n');
                }
            }
        }
        shown
    }
}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestErrors {}

impl Diagnostic for ManifestErrors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.0.iter().map(|error| error as &dyn Diagnostic)))
    }
}
