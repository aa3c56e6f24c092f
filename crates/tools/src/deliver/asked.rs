//! The check of an acceptance point as the model asks for it, made sense of before it stands on the list. It checks no
//! file.

use event::{AcceptanceCheck, AcceptanceItem, CheckKind};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::line;
use crate::deliver::stage;
use crate::limits::{CHECK_DATA_FILES_MAX, LINE_CHARS_MAX};
use crate::outcome::Outcome;

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Check {
    kind: Kind,
    file: Option<String>,
    at_least: Option<u64>,
    text: Option<String>,
    data: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Exists,
    Opens,
    Rows,
    Pages,
    Slides,
    Sheets,
    Words,
    Contains,
    Links,
    NoPlaceholders,
    Numbers,
}

impl From<Kind> for CheckKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Exists => Self::Exists,
            Kind::Opens => Self::Opens,
            Kind::Rows => Self::Rows,
            Kind::Pages => Self::Pages,
            Kind::Slides => Self::Slides,
            Kind::Sheets => Self::Sheets,
            Kind::Words => Self::Words,
            Kind::Contains => Self::Contains,
            Kind::Links => Self::Links,
            Kind::NoPlaceholders => Self::NoPlaceholders,
            Kind::Numbers => Self::Numbers,
        }
    }
}

/// What a kind of check needs beside its name.
struct Needs {
    file: bool,
    at_least: bool,
    text: bool,
    data: bool,
}

const fn needs(kind: CheckKind) -> Needs {
    let nothing = Needs { file: false, at_least: false, text: false, data: false };
    match kind {
        CheckKind::Opens | CheckKind::Links | CheckKind::NoPlaceholders => nothing,
        CheckKind::Exists => Needs { file: true, ..nothing },
        CheckKind::Rows | CheckKind::Pages | CheckKind::Slides | CheckKind::Sheets | CheckKind::Words => {
            Needs { file: true, at_least: true, ..nothing }
        }
        CheckKind::Contains => Needs { file: true, text: true, ..nothing },
        CheckKind::Numbers => Needs { file: true, data: true, ..nothing },
    }
}

impl Check {
    /// The check as it stands on the list, with what its kind has no use for left out; refused where something is missing.
    pub(crate) fn settled(self) -> Result<AcceptanceCheck, Outcome> {
        let kind = CheckKind::from(self.kind);
        let name = serde_json::to_string(&kind).unwrap_or_default().replace('"', "");
        let needs = needs(kind);
        let missing = |field: &str| Outcome::invalid(format!("a check of the kind {name} needs `{field}`"));
        let file = self.file.as_deref().filter(|file| !file.trim().is_empty()).map(path).transpose()?;
        if needs.file && file.is_none() {
            return Err(missing("file"));
        }
        let at_least = self.at_least.filter(|at_least| needs.at_least && *at_least > 0);
        if needs.at_least && at_least.is_none() {
            return Err(missing("at_least"));
        }
        let text = match self.text.filter(|_| needs.text) {
            Some(text) => Some(line("check.text", &text, LINE_CHARS_MAX)?),
            None if needs.text => return Err(missing("text")),
            None => None,
        };
        let data = self.data.filter(|_| needs.data).unwrap_or_default();
        let data = data.iter().map(|data| path(data)).collect::<Result<Vec<_>, _>>()?;
        if needs.data && data.is_empty() {
            return Err(missing("data"));
        }
        if data.len() > CHECK_DATA_FILES_MAX {
            return Err(Outcome::invalid(format!("a check names {CHECK_DATA_FILES_MAX} files of data at most")));
        }
        if data.iter().any(|data| Some(data) == file.as_ref()) {
            return Err(Outcome::invalid(
                "a file's numbers are looked up in other files: `data` names the file itself",
            ));
        }
        Ok(AcceptanceCheck { kind, file, at_least, text, data })
    }
}

/// A file's path relative to the workspace.
fn path(path: &str) -> Result<String, Outcome> {
    let parts = stage::components(path);
    parts.map(|parts| parts.join("/")).map_err(|_| {
        let path: String = path.chars().take(LINE_CHARS_MAX).collect();
        Outcome::invalid(format!("a check is made of files in /workspace, and {path:?} is none"))
    })
}

/// Gives a point its check. What was agreed stays agreed: only where the files are can be said anew.
pub(crate) fn adopt(item: &mut AcceptanceItem, check: Option<AcceptanceCheck>) -> Result<(), Outcome> {
    let Some(check) = check else { return Ok(()) };
    if let Some(known) = &item.check
        && (known.kind, known.at_least, &known.text) != (check.kind, check.at_least, &check.text)
    {
        let text = format!("the check of {:?} was agreed: only its file and data can be changed", item.text);
        return Err(Outcome::invalid(text));
    }
    item.check = Some(check);
    Ok(())
}
