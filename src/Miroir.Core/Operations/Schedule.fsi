namespace Miroir.Core

open System

/// When what is scheduled happens next.
[<RequireQualifiedAccess>]
module Schedule =

    /// The first moment of a five-field cron expression after `afterUnixMs`, in Unix milliseconds; by the wall clock of
    /// `zone`. A time that a change of clocks leaves out comes as much later as the clocks were put on; of one that comes
    /// twice the first counts. Int64.MaxValue where it never comes. Throws where the expression is none: the
    /// configuration's reader has checked it.
    val next: cron: string -> zone: TimeZoneInfo -> afterUnixMs: int64 -> int64

    /// Whether there is an hour of a year, told by UTC, in which it never happens.
    val leavesOutHours: cron: string -> bool
