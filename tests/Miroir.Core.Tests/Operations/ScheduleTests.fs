module Miroir.Core.Tests.ScheduleTests

open System
open FsCheck.FSharp
open Miroir.Core
open Miroir.Core.Tests.Replicas
open NUnit.Framework

let private at (text: string) =
    DateTimeOffset.Parse(text, Globalization.CultureInfo.InvariantCulture).ToUnixTimeMilliseconds()

let private shown (unixMs: int64) =
    DateTimeOffset
        .FromUnixTimeMilliseconds(unixMs)
        .ToString("yyyy-MM-ddTHH:mm", Globalization.CultureInfo.InvariantCulture)

/// Clocks that are put on by `minutes` at 2 on the last Sunday of March, and back at 3 on October's.
let private zone (hours: float) (minutes: int) : TimeZoneInfo =
    let on month hour =
        TimeZoneInfo.TransitionTime.CreateFloatingDateRule(DateTime(1, 1, 1, hour, 0, 0), month, 5, DayOfWeek.Sunday)

    let rule =
        TimeZoneInfo.AdjustmentRule.CreateAdjustmentRule(
            DateTime.MinValue.Date,
            DateTime.MaxValue.Date,
            TimeSpan.FromMinutes(float minutes),
            on 3 2,
            on 10 3
        )

    TimeZoneInfo.CreateCustomTimeZone(
        $"test{hours}/{minutes}",
        TimeSpan.FromHours hours,
        "test",
        "test",
        "test",
        [| rule |]
    )

let private zones = [| TimeZoneInfo.Utc; zone 1.0 60; zone -3.5 60; zone 10.5 30 |]

/// Cron expressions, and whether a local time is meant.
let private crons: (string * (DateTime -> bool))[] = [|
    "*/15 * * * *", fun t -> t.Minute % 15 = 0
    "0 */6 * * *", fun t -> t.Minute = 0 && t.Hour % 6 = 0
    "30 2 * * *", fun t -> t.Minute = 30 && t.Hour = 2
    "5,50 1-3 * * 0",
    fun t ->
        (t.Minute = 5 || t.Minute = 50)
        && t.Hour >= 1
        && t.Hour <= 3
        && t.DayOfWeek = DayOfWeek.Sunday
|]

/// Within two days of a change of clocks, or anywhere.
let private moments =
    gen {
        let! which = Gen.choose (0, crons.Length - 1)
        let! zone = Gen.choose (0, zones.Length - 1)

        let! near =
            Gen.elements [ "2026-03-29T01:00Z"; "2026-10-25T01:00Z"; "2026-07-01T00:00Z" ]

        let! minutes = Gen.choose (-2 * 1440, 2 * 1440)
        let! milliseconds = Gen.elements [ 0; 1; 59_999 ]
        return which, zone, at near + int64 minutes * 60_000L + int64 milliseconds
    }

[<Test>]
let ``The next moment is after, is one that the expression means, and none is passed over`` () =
    hold 500 moments (fun (which, zone, after) ->
        let cron, isMeant = crons[which]
        let zone = zones[zone]
        let next = Schedule.next cron zone after
        Assert.That(next, Is.GreaterThan after)

        let local (unixMs: int64) =
            TimeZoneInfo.ConvertTime(DateTimeOffset.FromUnixTimeMilliseconds unixMs, zone)

        // Shortly behind a change of clocks a time that was left out may be made up for.
        let isShifted (unixMs: int64) =
            (local unixMs).Offset <> (local (unixMs - 3_600_000L)).Offset

        Assert.That(isMeant (local next).DateTime || isShifted next, $"{cron}: {local next}")

        for minute in after / 60_000L + 1L .. next / 60_000L - 1L do
            let passed = minute * 60_000L
            // A local time that comes twice counts once.
            Assert.That(isMeant (local passed).DateTime && not (isShifted passed), Is.False, $"{cron}: {local passed}"))

[<Test>]
let ``Left out by a change of clocks, it comes as much later as they were put on`` () =
    let next = Schedule.next "30 2 * * *"
    Assert.That(shown (next zones[1] (at "2026-03-29T00:00Z")), Is.EqualTo "2026-03-29T01:30")
    // Put on by half an hour: 2:15 is left out, and comes at 2:45.
    let half = Schedule.next "15 2 * * *" zones[3] (at "2026-03-28T12:00Z")

    Assert.That(
        TimeZoneInfo.ConvertTime(DateTimeOffset.FromUnixTimeMilliseconds half, zones[3]).TimeOfDay,
        Is.EqualTo(TimeSpan(2, 45, 0))
    )

[<Test>]
let ``A time that comes twice counts when it first comes, and a pass in the second hour is not held up`` () =
    let next = Schedule.next "*/15 * * * *" zones[1]
    // 2:30 for the first time, then 2:45 for the first time.
    Assert.That(shown (next (at "2026-10-25T00:30Z")), Is.EqualTo "2026-10-25T00:45")
    // 2:10 for the second time, then 2:15 for the second time.
    Assert.That(shown (next (at "2026-10-25T01:10Z")), Is.EqualTo "2026-10-25T01:15")

[<Test>]
let ``What never comes is the end of time`` () =
    Assert.That(Schedule.next "0 0 30 2 *" TimeZoneInfo.Utc (at "2026-01-01T00:00Z"), Is.EqualTo Int64.MaxValue)

[<Test>]
let ``A leap day is waited for`` () =
    Assert.That(
        shown (Schedule.next "0 0 29 2 *" TimeZoneInfo.Utc (at "2026-01-01T00:00Z")),
        Is.EqualTo "2028-02-29T00:00"
    )

[<Test>]
let ``an hour is left out exactly where a day of it has none`` () =
    let minutes = Gen.choose (0, 59)

    let hours =
        Gen.elements [ "*"; "*/2"; "0-22"; "0,1,2,3,4,5,6,7,8,9,10-23"; "5"; "*/1" ]

    hold 30 (Gen.zip minutes hours) (fun (minute, hour) ->
        let isAlways = List.contains hour [ "*"; "0,1,2,3,4,5,6,7,8,9,10-23"; "*/1" ]
        Assert.That(Schedule.leavesOutHours $"{minute} {hour} * * *", Is.Not.EqualTo isAlways, $"{minute} {hour}"))
