namespace Miroir.Core

open System

/// A schedule window: hours of some days of the week, on the wall clock of a time zone. `FromMinute` is part of
/// it, `ToMinute` is not. Where `ToMinute` is not behind `FromMinute` it is of the next day; the days are those
/// on which the window opens.
type Window = {
    Name: string
    /// Not empty.
    Days: Set<DayOfWeek>
    /// Minute of the day, 0 to 1439.
    FromMinute: int
    /// Minute of the day, 0 to 1440; never equal to `FromMinute`.
    ToMinute: int
    TimeZone: TimeZoneInfo
}

[<RequireQualifiedAccess>]
module Window =

    /// Every day of the week.
    val daily: Set<DayOfWeek>

    /// Built in: off-peak, daily 22:00-06:00 UTC.
    val offPeak: Window

    /// Whether the window is open at an instant.
    val contains: instant: DateTimeOffset -> window: Window -> bool

    /// The first instant from `instant` on at which the window is open, in UTC: `instant` itself where it is open
    /// then. ValueNone only where none of the next 22 days has it (a window that the zone's clock always skips).
    val nextOpening: instant: DateTimeOffset -> window: Window -> DateTimeOffset voption

    /// The first instant behind `instant` at which an open window is closed, in UTC; ValueNone where it stays open
    /// for the next 22 days.
    val nextClosing: instant: DateTimeOffset -> window: Window -> DateTimeOffset voption

    /// Such as "22:00".
    val minuteText: minute: int -> string

    /// "22:00" to 1320; 24:00 is the end of the day.
    val parseMinute: text: string -> int voption

    /// Such as "daily 22:00-06:00 UTC".
    val describe: window: Window -> string

    /// Three letters, such as "mon", in the order of the week from Monday.
    val dayNames: (string * DayOfWeek) list
