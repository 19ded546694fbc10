//! What rounds are called where a name is a file's or a tag.

use super::Report;

/// The names of rounds where only letters, digits, dots and dashes may stand; each is another.
pub(super) fn plain_names(report: &Report) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(report.rounds.len());
    for (number, round) in (1..).zip(&report.rounds) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
        let words = round.name.split(|c| !is_plain(c)).filter(|word| !word.is_empty());
        let name = words.collect::<Vec<_>>().join("-");
        let is_name = name.contains(|c| c != '.') && !names.contains(&name);
        names.push(if is_name { name } else { format!("{name}-{number}") });
    }
    names
}
