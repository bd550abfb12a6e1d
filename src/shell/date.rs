//! Points in time as zkCli prints them, always in UTC so that outputs compare across machines.

const DAY_MS: i64 = 86_400_000;
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Milliseconds since the Unix epoch as `Thu Jan 01 00:00:00 UTC 1970`.
pub(crate) fn shown(time_ms: i64) -> String {
    let days = time_ms.div_euclid(DAY_MS);
    let seconds = time_ms.rem_euclid(DAY_MS) / 1000;
    let (year, month, day) = civil(days);
    let weekday = WEEKDAYS[days.rem_euclid(7) as usize];
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let month = MONTHS[month as usize - 1];
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year:04}")
}

/// Year, month and day of the proleptic Gregorian calendar, from days since the Unix epoch.
///
/// Counts in years that begin in March, so that a leap day is the last day of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let from_march_0000 = days + 719_468;
    let era = from_march_0000.div_euclid(146_097);
    let day_of_era = from_march_0000.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_as_java_prints_them() {
        assert_eq!(shown(0), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(shown(1_000_000_000_000), "Sun Sep 09 01:46:40 UTC 2001");
        assert_eq!(shown(951_782_400_000), "Tue Feb 29 00:00:00 UTC 2000");
        assert_eq!(shown(-1), "Wed Dec 31 23:59:59 UTC 1969");
        assert_eq!(shown(4_107_542_399_000), "Sun Feb 28 23:59:59 UTC 2100");
    }
}
