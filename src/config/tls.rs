//! `tls` of a `[[broker.listener]]`: the files are read here, so that their problems are told with all others.

use config::ValueKind;

use super::endpoint::{read_start, unreadable};
use super::section::{Noted, Read, Section};
use super::value::path;
use crate::server::{Tls, TlsError};

/// Reads the table and the files it names.
pub(super) fn read(section: &mut Section<'_>) -> Read<Tls> {
    let certificate = section.required("certificate", content);
    let key = section.required("key", content);
    let client_ca = section.optional("client_ca", content);
    let (certificate, key, client_ca) = (certificate?, key?, client_ca?);
    Tls::new(&certificate, &key, client_ca.as_deref()).map_err(|error| note(section, &error))
}

/// Notes why there can be no TLS with the files of a section.
pub(super) fn note(section: &mut Section<'_>, error: &TlsError) -> Noted {
    match error {
        TlsError::Certificate(text) => section.problem("certificate", of_file(text)),
        TlsError::Key(text) => section.problem("key", of_file(text)),
        TlsError::ClientCa(text) => section.problem("client_ca", of_file(text)),
        TlsError::Mismatch => {
            let text = "names a key that is not the key of `certificate`: name the two that were made together";
            section.problem("key", text.into())
        }
    }
}

fn of_file(text: &str) -> String {
    format!("names a file that {text}")
}

/// What is in the file.
pub(super) fn content(kind: &ValueKind) -> Result<Vec<u8>, String> {
    read_start(&path(kind)?).map_err(|error| unreadable(kind, &error))
}
