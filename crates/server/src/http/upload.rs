//! A new task with its files, as a form. The files go to the disk as they come, into a folder of this request's own, and from
//! there into the new task's workspace at once with all else: an upload that breaks off leaves nothing, least of all a task.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use agent::{Because, INPUT_FILES_MAX, Input};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request};
use utoipa::ToSchema;

use super::files::Content;
use super::limits::BODY_BYTES_MAX;
use super::problem::{Answer, Kind, Problem};
use super::wanted::Wanted;
use super::{Shared, blocking};

/// Where files wait for their task, below the data folder.
const INCOMING: &str = "server/incoming";

/// Bytes of a file's name, as file systems have it.
const NAME_BYTES_MAX: usize = 255;

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 256 * 1024;

const NAME_CHANCE_BYTES: usize = 16;

/// A new task with files.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTaskForm)]
#[expect(dead_code, reason = "for the API document; the form itself is read piece by piece")]
pub(super) struct Form {
    /// What should be done.
    #[schema(
        min_length = 1,
        max_length = 65_536,
        pattern = "[^\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]"
    )]
    task: String,
    /// `provider:model`; without it, the one that is used where none is named.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    model: Option<String>,
    /// Replies of the model at the most.
    #[schema(nullable = false, minimum = 1, maximum = 1_000_000)]
    max_steps: Option<u64>,
    /// US dollars at the most; the model's price must be known.
    #[schema(nullable = false, minimum = 0, maximum = 1_000_000_000)]
    max_cost_usd: Option<f64>,
    /// A number and a unit: `90s`, `20m`, `8h`, `2d`. From the creation of the task.
    #[schema(nullable = false, pattern = "^[1-9][0-9]{0,5}[smhd]$")]
    max_time: Option<String>,
    /// Answer yes to what the policy lets be answered so.
    #[schema(nullable = false)]
    yes: Option<bool>,
    /// What programs in the computer may reach, separated by commas; without it, what the settings say.
    #[schema(nullable = false)]
    allow_net: Option<String>,
    /// Names of secrets that programs can use, separated by commas.
    #[schema(nullable = false)]
    secrets: Option<String>,
    /// Files for the workspace, one part each, under their own names.
    #[schema(nullable = false, max_items = 1_000)]
    file: Option<Vec<Content>>,
}

/// A new task as it came, and its files. They are gone with this.
pub(super) struct Received {
    pub(super) wanted: Wanted,
    pub(super) inputs: Vec<Input>,
    /// Where the files lie.
    pub(super) folder: Incoming,
}

/// A folder for one request's files, gone when it is dropped.
pub(super) struct Incoming(PathBuf);

impl Incoming {
    pub(super) fn make(home: &Path) -> Answer<Self> {
        let path = home.join(INCOMING).join(Self::name()?);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map(|()| Self(path)).map_err(|error| Problem::io("make a folder for the files", &error))
    }

    /// A name that nothing else has.
    pub(super) fn name() -> Answer<String> {
        let mut chance = [0; NAME_CHANCE_BYTES];
        getrandom::fill(&mut chance).map_err(Problem::internal)?;
        Ok(chance.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Mostly empty by now; else it may be much, and this is a thread that answers.
        let path = std::mem::take(&mut self.0);
        tokio::task::spawn_blocking(move || std::fs::remove_dir_all(path));
    }
}

/// Removes what uploads left that a crash cut off. Only the one server of a data folder may do that.
pub(super) fn clear(home: &Path) {
    match std::fs::remove_dir_all(home.join(INCOMING)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, "remove the left-overs of uploads");
        }
        Ok(()) | Err(_) => {}
    }
}

/// A form as it comes, and a folder for its files.
async fn begin(shared: &Shared, mut request: Request) -> Answer<(Multipart, Incoming)> {
    // The files have limits of their own.
    DefaultBodyLimit::disable().apply(&mut request);
    let form =
        Multipart::from_request(request, &()).await.map_err(|rejection| Problem::of_status(rejection.status()))?;
    let home = shared.app.instance.home().path().to_owned();
    let folder = blocking(move || Incoming::make(&home)).await?;
    Ok((form, folder))
}

/// Reads a form of files and nothing else, so many at the most: the folder they lie in, and their names.
pub(super) async fn receive_files(
    shared: &Shared,
    request: Request,
    files_max: usize,
) -> Answer<(Incoming, Vec<String>)> {
    let (mut form, folder) = begin(shared, request).await?;
    let (mut names, mut bytes_left) = (Vec::new(), shared.app.limits.upload_bytes_max);
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        if field.name() != Some("file") {
            return Err(Problem::invalid("the form has files, each in a part \"file\", and nothing else"));
        }
        if names.len() >= files_max {
            let many = Problem::new(Kind::TooLarge, format!("there are more than {files_max} files"), "give fewer");
            return Err(many.because(Because::FilesTooMany { max: files_max as u64 }));
        }
        let name = name(&field)?;
        if names.contains(&name) {
            let detail = format!("two of the files have the name {name:?}");
            let same = Problem::new(Kind::SameName, detail, "rename one of them");
            return Err(same.because(Because::FilesSameName { name: name.clone() }));
        }
        store(field, &folder.0.join(&name), &mut bytes_left).await?;
        names.push(name);
    }
    if names.is_empty() {
        return Err(Problem::invalid("the form has no file"));
    }
    Ok((folder, names))
}

/// Reads the form to its end.
pub(super) async fn receive(shared: &Shared, request: Request) -> Answer<Received> {
    let (mut form, folder) = begin(shared, request).await?;
    let (mut words, mut inputs, mut names) = (Words::default(), Vec::new(), HashSet::new());
    let mut again = None;
    let mut bytes_left = shared.app.limits.upload_bytes_max;
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        match field.name() {
            Some("file") => {
                if inputs.len() >= INPUT_FILES_MAX {
                    let detail = format!("there are more than {INPUT_FILES_MAX} files");
                    let many = Problem::new(Kind::TooLarge, detail, "put them into one archive");
                    return Err(many.because(Because::FilesTooMany { max: INPUT_FILES_MAX as u64 }));
                }
                let name = name(&field)?;
                if !names.insert(name.clone()) {
                    again.get_or_insert(name);
                    pass_over(field, &mut bytes_left).await?;
                    continue;
                }
                inputs.push(Input::Move(store(field, &folder.0.join(name), &mut bytes_left).await?));
            }
            name => {
                let name = name.unwrap_or_default().to_owned();
                words.take(name, text(field).await?)?;
            }
        }
    }
    let wanted = words.wanted()?;
    wanted.check()?;
    wanted.check_limits()?;
    // Each part is right by itself, and yet they cannot all be.
    if let Some(name) = again {
        let detail = format!("two of the files have the name {name:?}");
        let same = Problem::new(Kind::SameName, detail, "rename one of them");
        return Err(same.because(Because::FilesSameName { name: name.clone() }));
    }
    Ok(Received { wanted, inputs, folder })
}

/// What the form says beside the files.
#[derive(Default)]
struct Words(HashMap<String, String>);

impl Words {
    fn take(&mut self, name: String, text: String) -> Answer<()> {
        if !["task", "model", "max_steps", "max_cost_usd", "max_time", "yes", "allow_net", "secrets"]
            .contains(&name.as_str())
        {
            return Err(Problem::invalid(format!("a form has no field {name:?}")));
        }
        match self.0.insert(name.clone(), text) {
            None => Ok(()),
            Some(_) => Err(Problem::invalid(format!("{name} is there twice"))),
        }
    }

    fn wanted(mut self) -> Answer<Wanted> {
        let mut take = |name: &str| self.0.remove(name);
        let digits = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit());
        let steps = |text: String| Some(text).filter(digits).and_then(|text| text.parse().ok());
        let dollars = |text: String| text.parse().ok().filter(|usd: &f64| usd.is_finite());
        let yes = |text: String| text.parse().ok();
        let wrong = |what: &str| Problem::invalid(what.to_owned());
        Ok(Wanted {
            task: take("task").ok_or_else(|| wrong("task is missing"))?,
            model: take("model"),
            max_steps: read(take("max_steps"), steps).ok_or_else(|| wrong("max_steps must be a whole number"))?,
            max_cost_usd: read(take("max_cost_usd"), dollars).ok_or_else(|| wrong("max_cost_usd must be a number"))?,
            max_time: take("max_time"),
            yes: read(take("yes"), yes).ok_or_else(|| wrong("yes must be true or false"))?.unwrap_or(false),
            allow_net: take("allow_net").map(|text| list(&text)),
            secrets: take("secrets").map(|text| list(&text)).unwrap_or_default(),
        })
    }
}

/// The parts of a list.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// What a field says, if it is there; `None` where it says something else.
fn read<T>(text: Option<String>, parse: impl FnOnce(String) -> Option<T>) -> Option<Option<T>> {
    match text {
        None => Some(None),
        Some(text) => parse(text).map(Some),
    }
}

/// A field's text.
async fn text(mut field: Field<'_>) -> Answer<String> {
    let mut text = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| broken(&error))? {
        if text.len() + piece.len() > BODY_BYTES_MAX {
            return Err(Problem::new(
                Kind::TooLarge,
                "a field of the form is too long",
                "give long material as a file",
            ));
        }
        text.extend_from_slice(&piece);
    }
    String::from_utf8(text).map_err(|_| Problem::invalid("a field of the form is no text in UTF-8"))
}

/// The name that a file comes with. One that would lead elsewhere or hide what it is is refused, not mended: what is in the
/// workspace has the name that the person knows.
fn name(field: &Field<'_>) -> Answer<String> {
    let name = field.file_name().unwrap_or_default();
    if is_plain(name) {
        return Ok(name.to_owned());
    }
    let shown: String = name.chars().take(80).collect();
    Err(Problem::invalid(format!(
        "{shown:?} is no plain file name: it needs one, without a path and at most 255 bytes"
    ))
    .because(Because::FileName { name: shown }))
}

fn is_plain(name: &str) -> bool {
    // Joiners are parts of names that people have.
    let deceives = |char: char| matches!(char, '/' | '\\') || agent::unseen::in_text(char);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !matches!(name, "." | "..") && !name.chars().any(deceives)
}

/// Reads a file that will not be needed.
async fn pass_over(mut field: Field<'_>, bytes_left: &mut u64) -> Answer<()> {
    while let Some(piece) = field.chunk().await.map_err(|error| broken(&error))? {
        count(piece.len(), bytes_left)?;
    }
    Ok(())
}

fn count(bytes: usize, bytes_left: &mut u64) -> Answer<()> {
    let hint = "put them into a folder for thenar run --workspace";
    let too_large =
        || Problem::new(Kind::TooLarge, "the files are too large together", hint).because(Because::FilesTooLarge);
    *bytes_left = bytes_left.checked_sub(bytes as u64).ok_or_else(too_large)?;
    Ok(())
}

/// Writes a file as it comes.
async fn store(mut field: Field<'_>, path: &Path, bytes_left: &mut u64) -> Answer<PathBuf> {
    let to = path.to_owned();
    let mut file = blocking(move || {
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&to);
        opened.map_err(|error| Problem::io("make the file", &error))
    })
    .await?;
    let mut gathered = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| broken(&error))? {
        count(piece.len(), bytes_left)?;
        gathered.extend_from_slice(&piece);
        if gathered.len() >= WRITE_BYTES {
            file = write(file, std::mem::take(&mut gathered)).await?;
        }
    }
    write(file, gathered).await?;
    Ok(path.to_owned())
}

async fn write(mut file: File, bytes: Vec<u8>) -> Answer<File> {
    blocking(move || match file.write_all(&bytes) {
        Ok(()) => Ok(file),
        Err(error) => Err(Problem::io("write the file", &error)),
    })
    .await
}

fn broken(error: &MultipartError) -> Problem {
    Problem::of_status(error.status())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_leads_nowhere_and_hides_nothing() {
        let long = "é".repeat(128);
        for name in ["a b.csv", ".hidden", "报告.xlsx", "a:b", "👨\u{200d}👩.png", "…", &long[2..], "-rf", "a..b"]
        {
            assert!(is_plain(name), "{name:?}");
        }
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "/etc/passwd",
            "..\\x",
            "a\0b",
            "a\nb",
            "evil\u{202e}fdp.exe",
            "a\u{200b}.csv",
            &long,
        ] {
            assert!(!is_plain(name), "{name:?}");
        }
    }
}
