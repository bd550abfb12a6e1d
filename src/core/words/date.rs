//! Instants as Java's `Date.toString` shows them, in UTC.

use alloc::format;
use alloc::string::String;

const DAY_MS: i64 = 86_400_000;
/// 1970-01-01 was a Thursday.
const DAY_NAMES: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTH_NAMES: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// An instant in milliseconds since the Unix epoch, such as `Mon Nov 23 11:35:48 UTC 2026`.
pub fn java_date(wall_ms: i64) -> String {
    let days = wall_ms.div_euclid(DAY_MS);
    let second = wall_ms.rem_euclid(DAY_MS) / 1000;
    let (year, month, day) = civil(days);
    let name = DAY_NAMES[days.rem_euclid(7) as usize];
    let month = MONTH_NAMES[month];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{name} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

/// An instant in seconds since the Unix epoch, such as `2026-11-23 11:35 UTC`: the date of a build.
pub fn build_date(seconds: u32) -> String {
    let seconds = i64::from(seconds);
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{year}-{:02}-{day:02} {hour:02}:{minute:02} UTC", month + 1)
}

/// Year, month from 0 and day from 1 of a day counted from 1970-01-01, by the Gregorian calendar.
///
/// Years are taken to begin in March, so that the leap day stands last and months before it
/// have lengths that repeat every five: 153 days.
fn civil(days: i64) -> (i64, usize, i64) {
    const DAYS_TO_1970_FROM_MARCH_OF_0: i64 = 719_468;
    const ERA_YEARS: i64 = 400;
    const ERA_DAYS: i64 = 146_097;
    let shifted = days + DAYS_TO_1970_FROM_MARCH_OF_0;
    let era = shifted.div_euclid(ERA_DAYS);
    let of_era = shifted.rem_euclid(ERA_DAYS);
    let leap_days = of_era / 1460 - of_era / 36_524 + of_era / 146_096;
    let year_of_era = (of_era - leap_days) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * months_since_march + 2) / 5 + 1;
    let year = era * ERA_YEARS + year_of_era + i64::from(months_since_march >= 10);
    (year, ((months_since_march + 2) % 12) as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_as_java_shows_them() {
        for (wall_ms, expected) in [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (-1, "Wed Dec 31 23:59:59 UTC 1969"),
            (951_782_400_000, "Tue Feb 29 00:00:00 UTC 2000"),
            (951_868_799_999, "Tue Feb 29 23:59:59 UTC 2000"),
            (951_868_800_000, "Wed Mar 01 00:00:00 UTC 2000"),
            (1_795_433_748_000, "Mon Nov 23 11:35:48 UTC 2026"),
            (4_107_542_400_000, "Mon Mar 01 00:00:00 UTC 2100"),
        ] {
            assert_eq!(java_date(wall_ms), expected);
        }
    }

    #[test]
    fn builds_are_dated_to_the_minute() {
        assert_eq!(build_date(0), "1970-01-01 00:00 UTC");
        assert_eq!(build_date(1_795_433_748), "2026-11-23 11:35 UTC");
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let (mut year, mut month, mut day) = (1970, 0, 1);
        for days in 0..146_097 {
            assert_eq!(civil(days), (year, month, day));
            let february = if leap(year) { 29 } else { 28 };
            let length = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month];
            day += 1;
            if day > length {
                (day, month) = (1, month + 1);
            }
            if month == 12 {
                (month, year) = (0, year + 1);
            }
        }
    }
}
