namespace Miroir.Scripting

open System
open System.Threading
open System.Threading.Tasks

[<RequireQualifiedAccess>]
module internal Polling =

    /// Looks that may fail one after another before the wait ends: a coordinator that starts again goes on where it was.
    let private maxFailures = 20

    /// Looks until `isEnough`, within `limit`; `onView` sees each look, `late` says what is still under way.
    let until
        (look: unit -> Task<Result<'T, ClientError>>)
        (interval: TimeSpan)
        (limit: TimeSpan)
        (isEnough: 'T -> bool)
        (onView: 'T -> unit)
        (late: 'T -> string)
        (cancel: CancellationToken)
        : Task<Result<'T, ClientError>> =
        task {
            let clock = TimeProvider.System
            let began = clock.GetTimestamp()
            let mutable result = None
            let mutable failures = 0

            while result.IsNone do
                match! look () with
                | Error(Refused(503, _, _) | Unreachable _) when failures < maxFailures ->
                    failures <- failures + 1
                    do! Task.Delay(interval, cancel)
                | Error problem -> result <- Some(Error problem)
                | Ok view ->
                    failures <- 0
                    onView view

                    if isEnough view then
                        result <- Some(Ok view)
                    elif clock.GetElapsedTime began > limit then
                        result <- Some(Error(Refused(504, "wait_timeout", late view)))
                    else
                        do! Task.Delay(interval, cancel)

            return result.Value
        }
