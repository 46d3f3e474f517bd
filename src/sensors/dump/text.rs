//! The file's form.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use super::Dump;
use crate::sensors::chip::{Chip, UnknownChip};

/// Sub-addresses have seven bits.
const REGISTER_MAX: u8 = 0x7f;
/// Bytes in one line of the file.
const LINE_BYTES: usize = 16;

/// Where a dump is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct DumpError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// A problem before its place is turned into line and column.
struct Problem {
    span: Range<usize>,
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    chip: Vec<ChipTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChipTable {
    name: Spanned<String>,
    address: Option<Spanned<i64>>,
    registers: BTreeMap<Spanned<String>, Spanned<String>>,
}

impl FromStr for Dump {
    type Err = DumpError;

    fn from_str(text: &str) -> Result<Self, DumpError> {
        decode(text).map_err(|problem| {
            let (line, column) = line_and_column(text, problem.span.start);
            DumpError { line, column, message: problem.message }
        })
    }
}

fn decode(text: &str) -> Result<Dump, Problem> {
    let file: File = toml::from_str(text).map_err(|error| Problem {
        span: error.span().unwrap_or(0..0),
        message: error.message().trim().replace('\n', ", "),
    })?;
    let mut dump = Dump::default();
    for table in &file.chip {
        add_chip(&mut dump, table)?;
    }
    if dump.chips.is_empty() {
        return Err(Problem { span: 0..0, message: "no [[chip]] in it: expected hts221, lps25h or both".into() });
    }
    Ok(dump)
}

fn add_chip(dump: &mut Dump, table: &ChipTable) -> Result<(), Problem> {
    let chip: Chip =
        table.name.get_ref().parse().map_err(|error: UnknownChip| problem(&table.name, error.to_string()))?;
    check_address(chip, table.address.as_ref())?;
    if dump.chips.contains_key(&chip) {
        return Err(problem(&table.name, format!("{} is there twice", chip.name())));
    }
    dump.set(chip, 0, &[]);
    for (first, bytes) in &table.registers {
        add_registers(dump, chip, first, bytes)?;
    }
    Ok(())
}

fn check_address(chip: Chip, address: Option<&Spanned<i64>>) -> Result<(), Problem> {
    match address {
        Some(address) if *address.get_ref() != i64::from(chip.address()) => Err(problem(
            address,
            format!("0x{:02x}: the Sense HAT's {} answers at 0x{:02x}", address.get_ref(), chip.name(), chip.address()),
        )),
        _ => Ok(()),
    }
}

fn add_registers(dump: &mut Dump, chip: Chip, first: &Spanned<String>, bytes: &Spanned<String>) -> Result<(), Problem> {
    let start = decode_register(first.get_ref())
        .ok_or_else(|| problem(first, format!("`{}`: expected a register, 0x00 to 0x7f", first.get_ref())))?;
    let decoded = decode_bytes(bytes.get_ref()).map_err(|message| problem(bytes, message))?;
    if usize::from(REGISTER_MAX - start) + 1 < decoded.len() {
        return Err(problem(bytes, format!("{} bytes from 0x{start:02x} on go beyond 0x7f", decoded.len())));
    }
    for (register, byte) in (start..).zip(decoded) {
        if dump.registers(chip).is_some_and(|known| known.contains_key(&register)) {
            return Err(problem(first, format!("register 0x{register:02x} is there twice")));
        }
        dump.set(chip, register, &[byte]);
    }
    Ok(())
}

fn decode_register(text: &str) -> Option<u8> {
    let register = u8::from_str_radix(text.strip_prefix("0x")?, 16).ok()?;
    (register <= REGISTER_MAX).then_some(register)
}

fn decode_bytes(text: &str) -> Result<Vec<u8>, String> {
    let bytes: Result<Vec<u8>, String> = text.split_whitespace().map(decode_byte).collect();
    match bytes {
        Ok(bytes) if bytes.is_empty() => Err("no byte: expected hex like \"3a 85\"".into()),
        decided => decided,
    }
}

fn decode_byte(text: &str) -> Result<u8, String> {
    let is_hex = text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let byte = if is_hex { u8::from_str_radix(text, 16).ok() } else { None };
    byte.ok_or_else(|| format!("`{text}`: expected bytes of two hex digits, like \"3a 85\""))
}

fn problem<T>(at: &Spanned<T>, message: impl Into<String>) -> Problem {
    Problem { span: at.span(), message: message.into() }
}

/// Line and column of a byte, both from 1; the column counts characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The file's text.
impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("# Registers of a Sense HAT: each line is a first register and the bytes from it on.\n")?;
        f.write_str("# `sensegate --simulate FILE` runs with them.\n")?;
        for (chip, registers) in &self.chips {
            write!(
                f,
                "\n[[chip]]\nname = \"{}\"\naddress = 0x{:02x}\n[chip.registers]\n",
                chip.name(),
                chip.address()
            )?;
            for (first, bytes) in runs(registers) {
                let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                writeln!(f, "0x{first:02x} = \"{}\"", hex.join(" "))?;
            }
        }
        Ok(())
    }
}

/// Registers that follow each other, in runs of at most a line.
fn runs(registers: &BTreeMap<u8, u8>) -> Vec<(u8, Vec<u8>)> {
    let mut runs: Vec<(u8, Vec<u8>)> = Vec::new();
    for (&register, &byte) in registers {
        match runs.last_mut() {
            Some((first, bytes)) if usize::from(register - *first) == bytes.len() && bytes.len() < LINE_BYTES => {
                bytes.push(byte);
            }
            _ => runs.push((register, vec![byte])),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[chip]]\nname = \"hts221\"\naddress = 0x5f\n[chip.registers]\n0x0f = \"bc\"\n\
                        0x30 = \"3A 85\"\n\n[[chip]]\nname = \"lps25h\"\nregisters = { 0x0f = \"bd\" }\n";

    fn check(text: &str, line: usize, column: usize, word: &str) {
        let error = text.parse::<Dump>().unwrap_err();
        assert_eq!((error.line, error.column), (line, column), "{error}");
        assert!(error.message.contains(word), "{error}");
    }

    #[test]
    fn dump_holds_the_registers_of_both_chips() {
        let dump: Dump = GOOD.parse().unwrap();
        let hts221: Vec<_> = dump.registers(Chip::Hts221).unwrap().iter().map(|(r, v)| (*r, *v)).collect();
        assert_eq!(hts221, [(0x0f, 0xbc), (0x30, 0x3a), (0x31, 0x85)]);
        assert_eq!(dump.registers(Chip::Lps25h).unwrap().get(&0x0f), Some(&0xbd));
    }

    #[test]
    fn written_dump_reads_as_itself() {
        let mut dump: Dump = GOOD.parse().unwrap();
        dump.set(Chip::Lps25h, 0x10, &(0..40).collect::<Vec<u8>>());
        assert_eq!(dump.to_string().parse(), Ok(dump));
    }

    #[test]
    fn mistakes_are_told_with_line_and_column() {
        check("[[chip]]\nname = \"bme280\"\nregisters = {}\n", 2, 8, "expected hts221 or lps25h");
        check(&GOOD.replace("0x5f", "0x5e"), 3, 11, "answers at 0x5f");
        check(&GOOD.replace("0x30 =", "0x80 ="), 6, 1, "0x00 to 0x7f");
        check(&GOOD.replace("0x30 =", "30 ="), 6, 1, "0x00 to 0x7f");
        check(&GOOD.replace("3A 85", "3A855"), 6, 8, "two hex digits");
        check(&GOOD.replace("3A 85", "+3"), 6, 8, "two hex digits");
        check(&GOOD.replace("3A 85", ""), 6, 8, "no byte");
        check(&GOOD.replace("0x30 = \"3A", "0x0e = \"3A"), 5, 1, "0x0f is there twice");
        check(&GOOD.replace("0x30 = \"3A", "0x7f = \"3A"), 6, 8, "beyond 0x7f");
        check(&GOOD.replace("lps25h", "hts221"), 9, 8, "twice");
        check(&GOOD.replace("address", "adress"), 3, 1, "adress");
        check("[[chip]]\nname = 5\n", 2, 8, "string");
        check("[[chip]\n", 1, 8, "");
        check("", 1, 1, "no [[chip]]");
    }
}
