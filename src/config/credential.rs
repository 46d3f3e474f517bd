//! Secrets that systemd hands over by name (`LoadCredential=`), where the file names none of its own.

use std::path::{Path, PathBuf};

use config::ValueKind;

use super::endpoint::password;
use super::layers::Variables;
use super::section::{Read, Section};
use crate::base::secret::Secret;

/// Where systemd takes credentials from that are named without a path; read by those who look at a configuration
/// outside the service.
const STORE: &str = "/etc/credstore";

/// The file of the credential `id`, if there is one.
pub(super) fn find(variables: &Variables, id: &str) -> Option<PathBuf> {
    let directory = variables.get("CREDENTIALS_DIRECTORY").map_or(Path::new(STORE), Path::new);
    Some(directory.join(id)).filter(|file| file.exists())
}

/// The password in the credential `id`; `None` when there is no such credential. One that cannot be read is a problem of
/// `password_file`, which would take its place.
pub(super) fn read_password(section: &mut Section<'_>, variables: &Variables, id: &str) -> Read<Option<Secret>> {
    let Some(file) = find(variables, id) else { return Ok(None) };
    let secret = password(&ValueKind::String(file.to_string_lossy().into_owned()));
    let problem = |text| section.problem("password_file", format!("is missing, and systemd's credential {text}"));
    secret.map(Some).map_err(problem)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_credential_is_found_by_its_name_and_one_that_was_not_handed_over_is_none() {
        let directory = TempDir::with_prefix("sensegate-").unwrap();
        fs::write(directory.path().join("ubidots.token"), "BBUS-x").unwrap();
        let variables = Variables::from([("CREDENTIALS_DIRECTORY".into(), directory.path().display().to_string())]);
        assert_eq!(find(&variables, "ubidots.token"), Some(directory.path().join("ubidots.token")));
        assert_eq!(find(&variables, "broker.password"), None);
    }
}
