namespace Miroir.Core

open System
open NCrontab

[<RequireQualifiedAccess>]
module Schedule =

    let private localOf (zone: TimeZoneInfo) (unixMs: int64) : DateTime =
        let utc = DateTimeOffset.FromUnixTimeMilliseconds unixMs
        DateTime.SpecifyKind(TimeZoneInfo.ConvertTime(utc, zone).DateTime, DateTimeKind.Unspecified)

    /// When a wall clock shows a time: twice where clocks go back, the earlier moment first. A time that clocks leave out
    /// is told as they would have been without the change.
    let private momentsOf (zone: TimeZoneInfo) (local: DateTime) : int64[] =
        let offsets =
            if zone.IsAmbiguousTime local then
                zone.GetAmbiguousTimeOffsets local |> Array.sortDescending
            else
                [| zone.GetUtcOffset local |]

        offsets
        |> Array.map (fun offset -> DateTimeOffset(local, offset).ToUnixTimeMilliseconds())

    let next (cron: string) (zone: TimeZoneInfo) (afterUnixMs: int64) : int64 =
        let schedule = CrontabSchedule.Parse cron

        let rec find (local: DateTime) =
            let candidate = schedule.GetNextOccurrence local

            // Such as 30 February: the library then answers the end of time.
            if candidate.Year >= 9999 then
                Int64.MaxValue
            else
                match momentsOf zone candidate |> Array.tryFind (fun unixMs -> unixMs > afterUnixMs) with
                | Some unixMs -> unixMs
                | None -> find candidate

        find (localOf zone afterUnixMs)

    let leavesOutHours (cron: string) : bool =
        let hourMs = 3_600_000L
        // A leap year's hours; what a cron expression says of days and months comes again every year.
        let first =
            DateTimeOffset(2024, 1, 1, 0, 0, 0, TimeSpan.Zero).ToUnixTimeMilliseconds()

        seq { 0L .. 366L * 24L - 1L }
        |> Seq.map (fun hour -> first + hour * hourMs - 1L)
        |> Seq.exists (fun before -> next cron TimeZoneInfo.Utc before > before + hourMs)
