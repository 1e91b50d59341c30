namespace Miroir.Core

open System

type DifferenceKind =
    | Missing = 0
    | Stale = 1
    | LacksTombstone = 2
    | Corrupt = 3

[<RequireQualifiedAccess>]
module private Floor =

    /// A replica that has nothing where the best is a tombstone below the floor may have had that, and purged it.
    let hasPurged (floor: DocumentVersion) (best: Entry) (held: DocumentVersion) =
        held.IsZero && best.Version < floor && not (Mutants.purgedTombstonesMissed ())

[<Sealed>]
type Sighting(key: Key, held: (Entry | null)[]) =

    let best =
        let mutable best: Entry | null = null

        for entry in held do
            match entry, best with
            | null, _ -> ()
            | seen, null -> best <- seen
            | seen, known when seen.Version > known.Version -> best <- seen
            | _ -> ()

        match best with
        | null -> invalidArg (nameof held) $"no replica has anything under \"{key}\""
        | entry -> entry

    let contents = [|
        for entry in held do
            match entry with
            | null -> ()
            | seen when seen.Version = best.Version -> yield struct (seen.IsTombstone, seen.Digest)
            | _ -> ()
    |]

    let isConflicting =
        (Array.distinct contents).Length > 1 && not (Mutants.conflictsNotSeen ())

    static member Of(merged: MergedKey) =
        Sighting(merged.Key, Array.init merged.Cursors merged.Held)

    member _.Key = key
    member _.Best = best
    member _.Held(replica: int) : Entry | null = held[replica]
    member _.Replicas = held.Length
    member _.IsConflicting = isConflicting

    member _.Lacking(floor: DocumentVersion) : int[] = [|
        for replica in 0 .. held.Length - 1 do
            match Divergence.between best held[replica] with
            | LacksTombstone version when Floor.hasPurged floor best version -> ()
            | divergence when divergence.IsLacking -> yield replica
            | _ -> ()
    |]

    member this.Kind(floor: DocumentVersion) : DifferenceKind voption =
        if isConflicting then
            ValueSome DifferenceKind.Corrupt
        else
            match this.Lacking floor with
            | [||] -> ValueNone
            | _ when best.IsTombstone -> ValueSome DifferenceKind.LacksTombstone
            | lacking when lacking |> Array.exists (fun replica -> isNull held[replica]) ->
                ValueSome DifferenceKind.Missing
            | _ -> ValueSome DifferenceKind.Stale

    member _.Keep: Digest voption =
        if isConflicting then
            Repair.majority (contents |> Array.map (fun struct (_, digest) -> digest))
        else
            ValueNone

[<RequireQualifiedAccess>]
type Verdict =
    | WasInFlight
    | Differs of DifferenceKind
    | Hot of DifferenceKind

[<RequireQualifiedAccess>]
module Settle =

    /// Does a replica that has `entry` hold what was the best at first sight?
    let private dominates (floor: DocumentVersion) (best: Entry) (entry: Entry | null) =
        match Divergence.between best entry with
        | Dominated -> true
        | LacksTombstone version -> Floor.hasPurged floor best version
        | Differs
        | Missing
        | Stale _ -> false

    let judge (floor: DocumentVersion) (first: Sighting) (later: Sighting | null) : Verdict =
        match later with
        | null -> Verdict.WasInFlight
        | seen ->
            let isStill =
                Seq.exists
                    (fun replica -> not (dominates floor first.Best (seen.Held replica)))
                    (seq { 0 .. seen.Replicas - 1 })

            match seen.Kind floor with
            | ValueSome DifferenceKind.Corrupt -> Verdict.Differs DifferenceKind.Corrupt
            | ValueSome kind when isStill ->
                if seen.Best.Version = first.Best.Version then
                    Verdict.Differs kind
                else
                    Verdict.Hot kind
            | _ -> Verdict.WasInFlight
