namespace Miroir.Core

open System

type Window = {
    Name: string
    Days: Set<DayOfWeek>
    FromMinute: int
    ToMinute: int
    TimeZone: TimeZoneInfo
}

[<RequireQualifiedAccess>]
module Window =

    let dayNames = [
        "mon", DayOfWeek.Monday
        "tue", DayOfWeek.Tuesday
        "wed", DayOfWeek.Wednesday
        "thu", DayOfWeek.Thursday
        "fri", DayOfWeek.Friday
        "sat", DayOfWeek.Saturday
        "sun", DayOfWeek.Sunday
    ]

    let daily = dayNames |> List.map snd |> Set.ofList

    let offPeak = {
        Name = "off-peak"
        Days = daily
        FromMinute = 22 * 60
        ToMinute = 6 * 60
        TimeZone = TimeZoneInfo.Utc
    }

    let contains (instant: DateTimeOffset) (window: Window) : bool =
        // By the wall clock, so that a change of the clock neither doubles a window nor loses its far end.
        let local = TimeZoneInfo.ConvertTime(instant, window.TimeZone)
        let minute = local.Hour * 60 + local.Minute
        let today = local.DayOfWeek
        let yesterday = enum<DayOfWeek>((int today + 6) % 7)

        if window.ToMinute > window.FromMinute then
            window.Days.Contains today
            && minute >= window.FromMinute
            && minute < window.ToMinute
        else
            (window.Days.Contains today && minute >= window.FromMinute)
            || (window.Days.Contains yesterday && minute < window.ToMinute)

    /// A week, the one behind it where a change of the clock swallowed the first opening, and one to spare.
    let private horizonMinutes = 22 * 24 * 60

    /// The first instant from `instant` on with `wanted`. A window opens and closes, and clocks change, at whole
    /// minutes only: it is enough to look at these.
    let private first (wanted: DateTimeOffset -> bool) (instant: DateTimeOffset) : DateTimeOffset voption =
        let instant = instant.ToUniversalTime()

        if wanted instant then
            ValueSome instant
        else
            let into = instant.Ticks % TimeSpan.TicksPerMinute
            let mutable minute = 1
            let mutable found = ValueNone

            while found.IsNone && minute <= horizonMinutes do
                let ticks = instant.Ticks - into + int64 minute * TimeSpan.TicksPerMinute

                if ticks > DateTimeOffset.MaxValue.UtcTicks then
                    minute <- horizonMinutes
                else
                    let at = DateTimeOffset(ticks, TimeSpan.Zero)

                    if wanted at then
                        found <- ValueSome at

                minute <- minute + 1

            found

    let nextOpening (instant: DateTimeOffset) (window: Window) =
        first (fun at -> contains at window) instant

    let nextClosing (instant: DateTimeOffset) (window: Window) =
        first (fun at -> not (contains at window)) instant

    let minuteText (minute: int) = $"{minute / 60:D2}:{minute % 60:D2}"

    let parseMinute (text: string) : int voption =
        let digit at = int text[at] - int '0'

        if
            text.Length = 5
            && text[2] = ':'
            && [ 0; 1; 3; 4 ] |> List.forall (fun at -> Char.IsAsciiDigit text[at])
        then
            let hours = digit 0 * 10 + digit 1
            let minutes = digit 3 * 10 + digit 4

            if minutes < 60 && (hours < 24 || (hours = 24 && minutes = 0)) then
                ValueSome(hours * 60 + minutes)
            else
                ValueNone
        else
            ValueNone

    let describe (window: Window) : string =
        let days =
            if window.Days = daily then
                "daily"
            else
                dayNames
                |> List.filter (fun (_, day) -> window.Days.Contains day)
                |> List.map fst
                |> String.concat ","

        $"{days} {minuteText window.FromMinute}-{minuteText window.ToMinute} {window.TimeZone.Id}"
