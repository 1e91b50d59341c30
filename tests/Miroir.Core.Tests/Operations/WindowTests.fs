module Miroir.Core.Tests.Operations.WindowTests

open System
open FsCheck
open FsCheck.FSharp
open NUnit.Framework
open FsCheck.NUnit
open Miroir.Core

/// An hour forward at 02:00 of the last Sunday of March, an hour back at 03:00 of the last Sunday of October.
let private summer =
    let change month hour =
        TimeZoneInfo.TransitionTime.CreateFloatingDateRule(DateTime(1, 1, 1, hour, 0, 0), month, 5, DayOfWeek.Sunday)

    let rule =
        TimeZoneInfo.AdjustmentRule.CreateAdjustmentRule(
            DateTime(2000, 1, 1),
            DateTime(2100, 12, 31),
            TimeSpan.FromHours 1.0,
            change 3 2,
            change 10 3
        )

    TimeZoneInfo.CreateCustomTimeZone("Test/Summer", TimeSpan.FromHours 1.0, "", "", "", [| rule |])

let private zones = [
    TimeZoneInfo.Utc
    summer
    TimeZoneInfo.CreateCustomTimeZone("Test/Nepal", TimeSpan.FromMinutes 345.0, "", "")
    TimeZoneInfo.CreateCustomTimeZone("Test/Far", TimeSpan.FromHours -11.0, "", "")
]

let private window =
    gen {
        let! from = Gen.choose (0, 1439)
        let! until = Gen.choose (0, 1440) |> Gen.filter (fun t -> t <> from)
        let! days = Gen.nonEmptyListOf (Gen.elements (List.map snd Window.dayNames))
        let! zone = Gen.elements zones

        return {
            Name = "w"
            Days = Set.ofList days
            FromMinute = from
            ToMinute = until
            TimeZone = zone
        }
    }

let private instant =
    gen {
        // Two years, with the changes of the clock of both.
        let! minute = Gen.choose (0, 2 * 365 * 1440)
        let! ms = Gen.choose (0, 59_999)
        return DateTimeOffset(2025, 1, 1, 0, 0, 0, TimeSpan.Zero).AddMinutes(float minute).AddMilliseconds(float ms)
    }

type Windows =
    static member Window() = Arb.fromGen window
    static member Instant() = Arb.fromGen instant

/// Sampled instants strictly between two, some of them right beside the ends.
let private between (first: DateTimeOffset) (last: DateTimeOffset) =
    let span = last - first

    [
        for i in 1..200 do
            first + span * (float i / 201.0)
        last.AddTicks -1L
        last.AddMinutes -1.0
        first.AddTicks 1L
    ]
    |> List.filter (fun at -> at > first && at < last)

[<Property(MaxTest = 200, Arbitrary = [| typeof<Windows> |])>]
let ``the next opening is inside, and nothing before it is`` (window: Window) (now: DateTimeOffset) =
    match Window.nextOpening now window with
    | ValueNone -> false
    | ValueSome opening ->
        opening >= now
        && Window.contains opening window
        && (opening = now || not (Window.contains now window))
        && between now opening |> List.forall (fun at -> not (Window.contains at window))

[<Property(MaxTest = 200, Arbitrary = [| typeof<Windows> |])>]
let ``the next closing is outside, and everything before it is inside`` (window: Window) (now: DateTimeOffset) =
    match Window.nextClosing now window with
    // Open for three weeks: every day, all day.
    | ValueNone -> window.Days = Window.daily && window.ToMinute - window.FromMinute = 1440
    | ValueSome closing ->
        closing >= now
        && not (Window.contains closing window)
        && (closing = now || Window.contains now window)
        && between now closing |> List.forall (fun at -> Window.contains at window)

[<Property(Arbitrary = [| typeof<Windows> |])>]
let ``a window and its complement split the day`` (window: Window) (now: DateTimeOffset) =
    let daily = { window with Days = Window.daily }

    let rest = {
        daily with
            FromMinute = window.ToMinute % 1440
            ToMinute = window.FromMinute
    }

    rest.FromMinute = rest.ToMinute
    || Window.contains now daily <> Window.contains now rest

let private at (text: string) =
    DateTimeOffset.Parse(text, Globalization.CultureInfo.InvariantCulture)

[<Test>]
let ``off-peak begins at 22:00 and ends before 06:00`` () =
    for text, expected in
        [
            "2026-03-02T21:59:59.999Z", false
            "2026-03-02T22:00:00Z", true
            "2026-03-03T00:00:00Z", true
            "2026-03-03T05:59:59.999Z", true
            "2026-03-03T06:00:00Z", false
        ] do
        Assert.That(Window.contains (at text) Window.offPeak, Is.EqualTo expected, text)

    Assert.That(
        Window.nextOpening (at "2026-03-03T06:00:00Z") Window.offPeak,
        Is.EqualTo(ValueSome(at "2026-03-03T22:00:00Z"))
    )

    Assert.That(Window.describe Window.offPeak, Is.EqualTo "daily 22:00-06:00 UTC")

[<Test>]
let ``a window that wraps midnight belongs to the day on which it opens`` () =
    // 2026-03-06 is a Friday.
    let friday = {
        Window.offPeak with
            Days = Set.singleton DayOfWeek.Friday
    }

    Assert.That(Window.contains (at "2026-03-06T05:00:00Z") friday, Is.False)
    Assert.That(Window.contains (at "2026-03-06T23:00:00Z") friday)
    Assert.That(Window.contains (at "2026-03-07T05:00:00Z") friday)
    Assert.That(Window.contains (at "2026-03-07T23:00:00Z") friday, Is.False)

[<Test>]
let ``an hour that the clock skips opens nothing that day`` () =
    // On 2026-03-29 the clock goes from 02:00 to 03:00.
    let sunday = {
        Name = "w"
        Days = Set.singleton DayOfWeek.Sunday
        FromMinute = 120
        ToMinute = 180
        TimeZone = summer
    }

    Assert.That(Window.nextOpening (at "2026-03-28T12:00:00Z") sunday, Is.EqualTo(ValueSome(at "2026-04-05T00:00:00Z")))

[<Test>]
let ``thresholds are those of the contract`` () =
    let rows = [
        for t in Thresholds.all ->
            let struct (healthy, warning, critical) = Thresholds.columns t
            t.Title, healthy, warning, critical
    ]

    let expected = [
        "write latency against baseline", "< 2x", "2-5x", "> 5x"
        "in-flight writes", "< 1,000", "1,000-10,000", "> 10,000"
        "drain time", "< 10 s", "10-30 s", "> 30 s"
        "documents in the delta pass", "< 100", "100-1,000", "> 1,000"
        "anti-entropy divergences", "0", "1-10", "> 10"
    ]

    Assert.That(rows, Is.EqualTo<(string * string * string * string) list> expected)

[<Test>]
let ``a bound belongs to warning, on both sides`` () =
    for t in Thresholds.all do
        Assert.That(Thresholds.classify t (Math.BitDecrement t.WarningFrom), Is.EqualTo Level.Healthy)
        Assert.That(Thresholds.classify t t.WarningFrom, Is.EqualTo Level.Warning)
        Assert.That(Thresholds.classify t t.CriticalAbove, Is.EqualTo Level.Warning)
        Assert.That(Thresholds.classify t (Math.BitIncrement t.CriticalAbove), Is.EqualTo Level.Critical)

[<Property>]
let ``a greater value is never at a lower level`` (NormalFloat a) (NormalFloat b) =
    let low, high = min a b, max a b

    Thresholds.all
    |> List.forall (fun t -> Thresholds.classify t low <= Thresholds.classify t high)
