//! Lines of cron as the engine reads them, checked here so that a mistake is told with its place in the file.
//!
//! Only what the engine and people understand in the same way is taken: five fields. Elsewhere a line that names days of
//! the month *and* days of the week means either; to the engine it means both, so such a line is refused.

use std::ops::RangeInclusive;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// February in a leap year: a line may wait for one.
const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CronError {
    #[error(
        "a line of cron has five fields (minute, hour, day of the month, month, day of the week), and this has {0}"
    )]
    Fields(usize),
    #[error("`{text}` is no {field}")]
    Field { text: String, field: &'static str },
    #[error("days of the month and days of the week can't both be named: only days that are both would count")]
    BothDays,
    #[error("there is no such day in these months")]
    NoSuchDay,
}

struct Field {
    name: &'static str,
    range: RangeInclusive<u32>,
    /// Names of the values, from the first on.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute (0 to 59)", range: 0..=59, names: &[] },
    Field { name: "hour (0 to 23)", range: 0..=23, names: &[] },
    Field { name: "day of the month (1 to 31)", range: 1..=31, names: &[] },
    Field { name: "month (1 to 12, or `jan` to `dec`)", range: 1..=12, names: &MONTHS },
    Field { name: "day of the week (0 to 6 from Sunday, or `sun` to `sat`)", range: 0..=6, names: &WEEKDAYS },
];

/// Checks a line.
pub(super) fn check(line: &str) -> Result<(), CronError> {
    let parts: Vec<&str> = line.split_ascii_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Err(CronError::Fields(parts.len()));
    }
    let mut values = Vec::new();
    for (part, field) in parts.iter().zip(&FIELDS) {
        let wrong = || CronError::Field { text: (*part).to_owned(), field: field.name };
        values.push(read(part, field).ok_or_else(wrong)?);
    }
    if parts[2] != "*" && parts[4] != "*" {
        return Err(CronError::BothDays);
    }
    let comes = |month: &u32| values[2].iter().any(|day| *day <= LONGEST[*month as usize - 1]);
    if values[3].iter().any(comes) { Ok(()) } else { Err(CronError::NoSuchDay) }
}

/// The values that a field stands for.
fn read(text: &str, field: &Field) -> Option<Vec<u32>> {
    let mut values = Vec::new();
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(number(step)?)),
            None => (item, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (value(first, field)?, value(last, field)?),
            None if range == "*" => (*field.range.start(), *field.range.end()),
            // A step goes on to the end: `10/20` are 10, 30 and 50.
            None => (value(range, field)?, if step.is_some() { *field.range.end() } else { value(range, field)? }),
        };
        let step = step.unwrap_or(1);
        if first > last || step == 0 {
            return None;
        }
        values.extend((first..=last).step_by(step as usize));
    }
    Some(values)
}

fn value(text: &str, field: &Field) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let named = field.names.iter().position(|name| *name == lower);
    let value = match named {
        Some(place) => field.range.start() + u32::try_from(place).ok()?,
        None => number(text)?,
    };
    field.range.contains(&value).then_some(value)
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_taken() {
        for line in [
            "0 3 * * *",
            "*/15 8-18 * * mon-fri",
            "0,30 0 1,15 * *",
            "10/20 * * * *",
            "5 4 29 feb *",
            "0 0 31 1-12/2 *",
            "  0  12 *  * SUN ",
        ] {
            assert_eq!(check(line), Ok(()), "{line}");
        }
    }

    #[test]
    fn lines_that_are_not() {
        let field = |text: &str, place: usize| CronError::Field { text: text.to_owned(), field: FIELDS[place].name };
        for (line, expected) in [
            ("", CronError::Fields(0)),
            ("@daily", CronError::Fields(1)),
            ("0 0 3 * * *", CronError::Fields(6)),
            ("60 * * * *", field("60", 0)),
            ("* 24 * * *", field("24", 1)),
            ("* * 0 * *", field("0", 2)),
            ("* * * foo *", field("foo", 3)),
            ("* * * * 7", field("7", 4)),
            ("*/0 * * * *", field("*/0", 0)),
            ("30-10 * * * *", field("30-10", 0)),
            ("1,,2 * * * *", field("1,,2", 0)),
            ("+5 * * * *", field("+5", 0)),
            ("0 0 L * *", field("L", 2)),
            ("0 0 ? * mon", field("?", 2)),
            ("0 0 1 * mon", CronError::BothDays),
            ("0 0 30 feb *", CronError::NoSuchDay),
            ("0 0 31 4,6 *", CronError::NoSuchDay),
        ] {
            assert_eq!(check(line), Err(expected), "{line}");
        }
    }
}
