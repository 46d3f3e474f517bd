//! Whether a test that is named is one.

use std::path::Path;

use thiserror::Error;

/// Why a name stands for no test that runs.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum NoTest {
    #[error("is not written as path/of/file.rs::name_of_test")]
    Form,
    #[error("is in a file that is not there")]
    File,
    #[error("is no function of its file")]
    Function,
    #[error("has no #[test] above it")]
    Attribute,
    #[error("is ignored")]
    Ignored,
}

/// Looks up `path/of/file.rs::name_of_test` below `root`.
///
/// # Errors
/// When there is no such test, or it does not run with the others.
pub(crate) fn look_up(root: &Path, name: &str) -> Result<(), NoTest> {
    let (file, function) = name.split_once("::").ok_or(NoTest::Form)?;
    let is_source = Path::new(file).extension().is_some_and(|extension| extension == "rs");
    if !is_source || file.contains("..") || function.contains(':') {
        return Err(NoTest::Form);
    }
    let text = std::fs::read_to_string(root.join(file)).map_err(|_| NoTest::File)?;
    check_text(&text, function)
}

fn check_text(text: &str, function: &str) -> Result<(), NoTest> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| is_function(line, function)).ok_or(NoTest::Function)?;
    let above = lines.iter().take(at).rev().take_while(|line| !ends_what_stands_above(line));
    let attributes: Vec<_> = above.filter(|line| line.starts_with("#[")).collect();
    if attributes.iter().any(|line| line.contains("ignore")) {
        return Err(NoTest::Ignored);
    }
    if attributes.iter().any(|line| is_test(line)) { Ok(()) } else { Err(NoTest::Attribute) }
}

fn is_test(attribute: &str) -> bool {
    attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test")
}

/// Whether a line begins the function `name`.
fn is_function(line: &str, name: &str) -> bool {
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ").and_then(|line| line.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
}

/// Whether what stands above a function, its comments and attributes, ends here.
fn ends_what_stands_above(line: &str) -> bool {
    line.is_empty() || line.ends_with(['{', '}', ';'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
        fn helper() {}
        #[test]
        fn plain() {
        }

        /// Words.
        #[tokio::test(flavor = \"current_thread\")]
        #[should_panic(expected = \"x\")]
        // more words
        async fn waiting() {}

        #[test]
        #[ignore]
        fn asleep() {}
        #[cfg_attr(windows, ignore)]
        #[test]
        fn half_asleep(a in 0..1) {}
        proptest! {
            #[test]
            fn property(
                a in 0..1,
            ) {}
        }
    ";

    #[test]
    fn a_test_is_a_function_under_its_attribute() {
        for name in ["plain", "waiting", "property"] {
            assert_eq!(check_text(TEXT, name), Ok(()), "{name}");
        }
        for (name, error) in [
            ("helper", NoTest::Attribute),
            ("asleep", NoTest::Ignored),
            ("half_asleep", NoTest::Ignored),
            ("plai", NoTest::Function),
            ("plain_", NoTest::Function),
        ] {
            assert_eq!(check_text(TEXT, name), Err(error), "{name}");
        }
    }

    #[test]
    fn a_name_is_a_file_of_this_tree_and_a_function() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let this = "a_name_is_a_file_of_this_tree_and_a_function";
        assert_eq!(look_up(root, &format!("tests/conformance/source.rs::{this}")), Ok(()));
        assert_eq!(look_up(root, &format!("tests/conformance/nowhere.rs::{this}")), Err(NoTest::File));
        for form in [this, "tests/conformance::x", "../x.rs::x", "tests/conformance/source.rs::tests::x"] {
            assert_eq!(look_up(root, form), Err(NoTest::Form), "{form}");
        }
    }
}
