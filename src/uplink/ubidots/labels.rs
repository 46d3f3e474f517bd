//! Labels of devices and variables.

use thiserror::Error;

/// The longest label that is taken here; Ubidots names no limit.
const LABEL_BYTES_MAX: usize = 255;

/// Why a label is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LabelError {
    /// It is empty.
    #[error("is empty, a label is expected")]
    Empty,
    /// It is longer than a topic should carry.
    #[error("is {0} bytes long, at most {LABEL_BYTES_MAX} are expected")]
    Long(usize),
    /// A character that Ubidots' broker does not match: the message would vanish.
    #[error("has {0:?}, a label has only letters, digits, `_`, `:`, `.` and `-`")]
    Character(char),
}

/// Whether `label` is one: `[a-zA-Z0-9_:.-]+`, as Ubidots' broker matches it.
///
/// # Errors
/// What is wrong with it.
pub fn check_label(label: &str) -> Result<(), LabelError> {
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | ':' | '.' | '-');
    match label.chars().find(|character| !is_allowed(*character)) {
        Some(character) => Err(LabelError::Character(character)),
        None if label.is_empty() => Err(LabelError::Empty),
        None if label.len() > LABEL_BYTES_MAX => Err(LabelError::Long(label.len())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_of_ubidots_characters() {
        for label in ["weather-station", "b8:27:eb:00:00:01", "Temp_1.a"] {
            assert_eq!(check_label(label), Ok(()), "{label}");
        }
        assert_eq!(check_label("my room"), Err(LabelError::Character(' ')));
        assert_eq!(check_label("a/b"), Err(LabelError::Character('/')));
        assert_eq!(check_label("pièce"), Err(LabelError::Character('è')));
        assert_eq!(check_label(""), Err(LabelError::Empty));
        assert!(matches!(check_label(&"x".repeat(256)), Err(LabelError::Long(256))));
    }
}
