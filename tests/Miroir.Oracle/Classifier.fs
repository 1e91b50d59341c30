namespace Miroir.Oracle

open System
open System.Collections.Generic

module private Findings =

    let same (a: Document | null) (b: Document | null) =
        match a, b with
        | null, null -> true
        | null, _
        | _, null -> false
        | x, y -> x.SameAs y

    let ofAnomaly anomaly =
        match anomaly with
        | Anomaly.Lost -> DocumentClass.Lost
        | Anomaly.Resurrected -> DocumentClass.Resurrected
        | Anomaly.Orphaned -> DocumentClass.Orphaned
        | Anomaly.Undecided -> DocumentClass.Undecided
        | _ -> DocumentClass.Stale

    let newest (entries: DumpEntry seq) : DumpEntry =
        entries
        |> Seq.maxBy (fun entry -> struct (entry.Version.Term, entry.Version.Clock))

    let private told (entries: DumpEntry seq) =
        entries |> Seq.map string |> String.concat "; "

    /// Live entries where they don't belong, or more than one of them.
    let misplaced (placement: Placement | null) (entries: DumpEntry[]) =
        let live = entries |> Array.filter (fun entry -> not entry.IsTombstone)

        let astray =
            match placement with
            | null -> [||]
            | place ->
                live
                |> Array.filter (fun entry -> entry.Shard <> place.Shard || not (Seq.contains entry.Node place.Owners))

        let twice =
            live
            |> Array.groupBy _.Node
            |> Array.filter (fun (_, mine) -> mine.Length > 1)
            |> Array.map snd

        let differing =
            entries
            |> Array.groupBy _.Version
            |> Array.map snd
            |> Array.filter (fun same' ->
                same' |> Array.exists (fun entry -> not (same entry.Document same'[0].Document)))

        [
            if astray.Length > 0 then
                DocumentClass.Orphaned, $"stored where it doesn't belong: {told astray}"
            for mine in twice do
                DocumentClass.Duplicated, $"more than once in a node: {told mine}"
            for copies in differing do
                DocumentClass.Duplicated, $"one version with different content: {told copies}"
        ]

    /// Stored content that no write which may have been applied explains.
    let unexplained (history: HistoryEntry[]) (entries: DumpEntry[]) =
        let written = HashSet<struct (string * string)>()

        for entry in history do
            match entry.Operation.Fields with
            | null -> ()
            | fields ->
                if entry.Outcome = Outcome.Ok || entry.Outcome = Outcome.Unknown then
                    for field in fields.Items do
                        written.Add(struct (field.Key, field.Value)) |> ignore

        entries
        |> Array.filter (fun entry ->
            match entry.Document with
            | null -> false
            | live ->
                live.Items
                |> Array.exists (fun field -> not (written.Contains(struct (field.Key, field.Value)))))
        |> fun found -> [
            if found.Length > 0 then
                DocumentClass.Orphaned, $"no write explains: {told found}"
        ]

    /// Whether a write quorum of the owners holds what the final read saw. A missing entry holds absence.
    let quorum (place: Placement) (entries: DumpEntry[]) (final: Document | null) =
        let held (node: string) : Document | null =
            let mine =
                entries
                |> Array.filter (fun entry -> entry.Node = node && entry.Shard = place.Shard)

            if mine.Length = 0 then null else (newest mine).Document

        let holdings = place.Owners |> Seq.map held |> Seq.toArray
        let agreeing = holdings |> Array.filter (same final) |> Array.length

        if agreeing >= place.Quorum then
            []
        else
            let others = holdings |> Array.filter (same final >> not)

            let what =
                if isNull final then DocumentClass.Resurrected
                elif others |> Array.forall isNull then DocumentClass.Lost
                else DocumentClass.Stale

            [
                what,
                $"only {agreeing} of {holdings.Length} owners hold the final state, {place.Quorum} expected: {told entries}"
            ]

/// Puts every document into its classes, after healing: from the history with the final confirmed reads, and from what
/// the stores hold.
[<AbstractClass; Sealed>]
type Classifier =

    /// `placementOf` gives where a key belongs, or null where that isn't known (placement is then not judged).
    /// A document without a final read is judged by its newest stored entry.
    static member Classify
        (
            history: History,
            finalReads: seq<FinalRead>,
            dump: seq<DumpEntry>,
            placementOf: Func<string, Placement | null>,
            options: CheckerOptions
        ) : Classification =
        ArgumentNullException.ThrowIfNull(history, nameof history)
        ArgumentNullException.ThrowIfNull(placementOf, nameof placementOf)
        ArgumentNullException.ThrowIfNull(options, nameof options)
        let entries = history.Entries()

        let group (keyOf: 'a -> string) (items: 'a seq) =
            let groups = Dictionary<string, ResizeArray<'a>>(StringComparer.Ordinal)

            for item in items do
                match groups.TryGetValue(keyOf item) with
                | true, list -> list.Add item
                | _ -> groups[keyOf item] <- ResizeArray [ item ]

            groups

        let stored = group (fun (entry: DumpEntry) -> entry.Key) dump
        let recorded = group (fun (entry: HistoryEntry) -> entry.Operation.Key) entries
        let finals = Dictionary<string, Reply>(StringComparer.Ordinal)

        for read in finalReads do
            if read.Reply.Outcome = Outcome.Ok then
                finals[read.Key] <- read.Reply

        for KeyValue(key, mine) in stored do
            if not (finals.ContainsKey key) then
                finals[key] <- Reply(Outcome.Ok, (Findings.newest mine).Document, null)

        // After everything else in the history, whatever its times are.
        let ending =
            1L
            + (entries
               |> Seq.map (fun entry ->
                   if entry.CompletedAt = Int64.MaxValue then
                       entry.InvokedAt
                   else
                       entry.CompletedAt)
               |> Seq.fold max 0L)

        let keys =
            Seq.concat [ Seq.cast<string> recorded.Keys; stored.Keys; finals.Keys ]
            |> Seq.distinct
            |> Seq.toArray

        Array.Sort(keys, StringComparer.Ordinal)
        let nextId = int64 entries.Length

        let finalEntries =
            keys
            |> Array.mapi (fun i key ->
                match finals.TryGetValue key with
                | true, reply ->
                    let entry = HistoryEntry(nextId + int64 i, -1, Operation.Read key, ending)
                    entry.SetReply(reply, ending + 1L)
                    [| entry |]
                | _ -> [||])
            |> Array.concat

        let verdict =
            Checker.Run(Array.append entries finalEntries, options, (fun entry -> entry.Client = -1))

        let violations = Dictionary<string, Violation>(StringComparer.Ordinal)

        for violation in verdict.Violations do
            violations[violation.Key] <- violation

        let counts: int[] = Array.zeroCreate (Enum.GetValues<DocumentClass>().Length)

        let wrong =
            SortedDictionary<string, IReadOnlyList<DocumentClass>>(StringComparer.Ordinal)

        let examples = ResizeArray<string>()
        let mutable leftovers = 0

        for key in keys do
            let copies =
                match stored.TryGetValue key with
                | true, mine -> mine.ToArray()
                | _ -> [||]

            let calls =
                match recorded.TryGetValue key with
                | true, mine -> mine.ToArray()
                | _ -> [||]

            let placement = placementOf.Invoke key

            let findings = [
                match violations.TryGetValue key with
                | true, violation -> Findings.ofAnomaly violation.Anomaly, violation.Story
                | _ -> ()
                yield! Findings.misplaced placement copies
                yield! Findings.unexplained calls copies
                match placement, finals.TryGetValue key with
                | place, (true, reply) when not (isNull place) ->
                    yield! Findings.quorum (nonNull place) copies reply.Document
                | _ -> ()
            ]

            match placement with
            | null -> ()
            | place ->
                for copy in copies do
                    if
                        copy.IsTombstone
                        && (copy.Shard <> place.Shard || not (Seq.contains copy.Node place.Owners))
                    then
                        leftovers <- leftovers + 1

            let classes = findings |> List.map fst |> List.distinct

            if classes.IsEmpty then
                counts[int DocumentClass.Fine] <- counts[int DocumentClass.Fine] + 1
            else
                wrong[key] <- List.toArray classes

                for each in classes do
                    counts[int each] <- counts[int each] + 1

                for each, story in findings do
                    if examples.Count < options.MaxStories then
                        examples.Add $"{each} \"{key}\": {story}"

        Classification(counts, wrong, examples.ToArray(), leftovers)
