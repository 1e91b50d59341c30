namespace Miroir.Core

open System
open NCrontab

[<RequireQualifiedAccess>]
module Schedule =

    let private localOf (zone: TimeZoneInfo) (unixMs: int64) : DateTime =
        let utc = DateTimeOffset.FromUnixTimeMilliseconds unixMs
        DateTime.SpecifyKind(TimeZoneInfo.ConvertTime(utc, zone).DateTime, DateTimeKind.Unspecified)

    let private unixMsOf (zone: TimeZoneInfo) (local: DateTime) : int64 =
        let valid =
            if zone.IsInvalidTime local then
                local.AddHours 1.0
            else
                local

        DateTimeOffset(valid, zone.GetUtcOffset valid).ToUnixTimeMilliseconds()

    let next (cron: string) (zone: TimeZoneInfo) (afterUnixMs: int64) : int64 =
        let schedule = CrontabSchedule.Parse cron
        // Where clocks go back, a local time comes twice: the first that lies behind counts.
        let rec find (local: DateTime) =
            let candidate = schedule.GetNextOccurrence local

            // Such as 30 February: the library then answers the end of time.
            if candidate.Year >= 9999 then
                Int64.MaxValue
            else
                let unixMs = unixMsOf zone candidate
                if unixMs > afterUnixMs then unixMs else find candidate

        find (localOf zone afterUnixMs)
