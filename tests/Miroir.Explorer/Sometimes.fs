namespace Miroir.Explorer

open System
open System.Collections.Concurrent
open Miroir.Core
open Miroir.Core.Cutover

/// What is to happen in some run, so that nothing that always holds holds for want of trying.
type Sometimes =
    | Completes = 0
    | Aborts = 1
    | FallsBack = 2
    | DeltaPassCopies = 3
    | WriterDeposedInMidWrite = 4
    | LatePutRefused = 5
    | InspectionRunsAgain = 6
    | InspectionCompletes = 7
    | ReadPassedToWriter = 8
    | ReadStartsAgain = 9
    | PutBack = 10
    | CrashRecovered = 11
    | StoreMadeAgain = 12
    | UnknownOutcome = 13
    | ThereAndBack = 14
    | PausedAndGoneOn = 15

[<RequireQualifiedAccess>]
module Seen =
    let private seen: bool[] = Array.zeroCreate 32
    let mark (what: Sometimes) = seen[int what] <- true
    let has (what: Sometimes) = seen[int what]
    let reset () = Array.Clear seen

[<RequireQualifiedAccess>]
module Documents =
    let private known =
        ConcurrentDictionary<struct (int * int64 * int64 * int), Document>()

    /// The document of a key in a version that carries these marks; none: a tombstone.
    let get (setting: Setting) (key: int) (version: DocumentVersion) (marks: int) : Document =
        known.GetOrAdd(
            struct (key, version.Term, version.Clock, marks),
            fun _ ->
                if marks = 0 then
                    Document.Tombstone(setting.Keys[key], version, Guid.Empty, Origin.Client)
                else
                    Document.Live(
                        setting.Keys[key],
                        version,
                        ReadOnlyMemory [| byte marks |],
                        Guid.Empty,
                        Origin.Client
                    )
        )

    let reset () = known.Clear()
