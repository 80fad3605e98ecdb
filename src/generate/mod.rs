//! Everything in the repository that is generated, as text.
//!
//! This room turns what the code already knows - kinds, rules, the table of commands - into files. It knows paths and
//! formats; it talks to no cluster. A test compares bytes, so a generated file is never edited.

mod crds;
mod rbac;
mod reference;

use std::path::{Path, PathBuf};

/// Why the generated files could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A Kubernetes object could not be written as YAML.
    #[error("{what} cannot be written as YAML")]
    Yaml {
        /// The object.
        what: String,
        /// What the serializer said.
        source: serde_yaml::Error,
    },
    /// A schema could not be read as JSON.
    #[error("{what} cannot be read as JSON")]
    Json {
        /// The object.
        what: String,
        /// What the serializer said.
        source: serde_json::Error,
    },
    /// A file could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
}

/// The folders in which every file is generated; a file there that [`files`] does not name is a left-over.
pub const FOLDERS: &[&str] = &["crds", "charts/slowlane-crds/templates"];

/// All generated files, by their path from the root of the repository.
///
/// # Errors
/// If an object cannot be written as YAML.
pub fn files() -> Result<Vec<(PathBuf, String)>, Error> {
    let mut files = crds::files()?;
    files.push(rbac::file());
    files.push(reference::file()?);
    Ok(files)
}

/// Write all generated files under `root` and return their paths.
///
/// # Errors
/// If one of them cannot be made or written; those before it are written then.
pub fn write(root: &Path) -> Result<Vec<PathBuf>, Error> {
    files()?.into_iter().map(|(path, text)| write_one(&root.join(path), &text)).collect()
}

fn write_one(path: &Path, text: &str) -> Result<PathBuf, Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)?;
    Ok(path.to_owned())
}
