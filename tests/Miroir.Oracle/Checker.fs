namespace Miroir.Oracle

open System
open System.Collections.Generic
open System.Text

/// How far to search. The step budget makes a verdict repeatable; the time limit is for impatient runs.
[<Sealed>]
type CheckerOptions() =
    /// Steps of the search for each document and try; running out gives `Undecided`.
    member val MaxStepsPerKey = 40_000_000L with get, set

    /// Milliseconds for each document and try; 0: no limit, so that the verdict depends on the history alone.
    member val MaxMillisecondsPerKey = 0L with get, set

    /// For how many documents with violations the shortest bad prefix is looked for and told.
    member val MaxStories = 20 with get, set

/// What kind of wrong a document's history is. Best effort, where several fit.
type Anomaly =
    /// An acknowledged write, or a part of it, is missing.
    | Lost = 0
    /// An older state was seen after a newer one.
    | Stale = 1
    /// A deleted document came back.
    | Resurrected = 2
    /// Something was seen that no write explains; a write that was called failed, say.
    | Orphaned = 3
    /// A condition passed, or failed, where it can't have.
    | ConditionViolated = 4
    /// The budget ran out: counts as a failure.
    | Undecided = 5

/// A document whose history could not be explained.
[<Sealed>]
type Violation
    internal (key: string, anomaly: Anomaly, story: string, prefix: HistoryEntry[], culprit: HistoryEntry | null) =
    member _.Key = key
    member _.Anomaly = anomaly

    /// The shortest prefix of the history that can't be explained, for people.
    member _.Story = story

    /// The operations of that prefix, by invocation.
    member _.Prefix: IReadOnlyList<HistoryEntry> = prefix

    /// The operation whose reply ends the prefix: it can't be explained, all replies before it can. Null where undecided.
    member _.Culprit: HistoryEntry | null = culprit

    override _.ToString() = story

/// What the checker found in a history.
[<Sealed>]
type Verdict internal (keys: int, operations: int, violations: Violation[]) =
    member _.KeysChecked = keys
    member _.OperationsChecked = operations

    /// One for each document that is wrong or undecided, by key (ordinal).
    member _.Violations: IReadOnlyList<Violation> = violations

    /// Every document was decided, and is linearizable.
    member _.IsCorrect = violations.Length = 0

    member _.Count(anomaly: Anomaly) =
        violations
        |> Seq.filter (fun violation -> violation.Anomaly = anomaly)
        |> Seq.length

    override _.ToString() =
        let text =
            StringBuilder
                $"{operations} operations on {keys} documents: {violations.Length} documents are wrong or undecided"

        for violation in violations |> Seq.truncate 20 do
            text.AppendLine().AppendLine().Append violation.Story |> ignore

        text.ToString()

module internal Judge =

    let byTime (entries: HistoryEntry seq) =
        entries
        |> Seq.sortBy (fun entry -> struct (entry.InvokedAt, entry.Id))
        |> Seq.toArray

    /// The moment of the reply that ends the shortest prefix without a linearization, among the prefixes that the
    /// budget can decide.
    let shortest (entries: HistoryEntry[]) (options: CheckerOptions) : int64 =
        let replies =
            entries
            |> Array.filter (fun entry ->
                entry.Outcome <> Outcome.Failed
                && entry.Operation.Kind <> OperationKind.EventualRead
                && entry.CompletedAt < Int64.MaxValue)
            |> Array.map _.CompletedAt
            |> Array.distinct
            |> Array.sort

        let isBad i =
            Search.decide (Problem.build entries replies[i]) options.MaxStepsPerKey options.MaxMillisecondsPerKey =
                Found.NotLinearizable

        // A prefix of a good prefix is good. What is undecided is taken for good here, so that the end is a bad one.
        let rec narrow good bad =
            if bad - good <= 1 then
                replies[bad]
            else
                let middle = (good + bad) / 2

                if isBad middle then
                    narrow good middle
                else
                    narrow middle bad

        narrow -1 (replies.Length - 1)

    let private writesAny (document: Document) (entry: HistoryEntry) =
        match entry.Operation.Fields with
        | null -> false
        | fields ->
            document.Items
            |> Array.exists (fun seen ->
                fields.Items
                |> Array.exists (fun written -> written.Key = seen.Key && written.Value = seen.Value))

    let private isAcknowledged (entry: HistoryEntry) =
        entry.Operation.IsWrite && entry.Outcome = Outcome.Ok

    let classify (prefix: HistoryEntry[]) (culprit: HistoryEntry) (isFinal: HistoryEntry -> bool) : Anomaly =
        let others = prefix |> Array.filter (fun entry -> entry.Operation.IsWrite)

        if culprit.Operation.Condition <> ConditionKind.Always then
            Anomaly.ConditionViolated
        else
            match culprit.Reply with
            | null -> Anomaly.Stale
            | _ when culprit.Operation.IsWrite -> Anomaly.Stale
            | reply ->
                match reply.Document with
                | null -> Anomaly.Lost
                | seen ->
                    let writers = others |> Array.filter (writesAny seen)

                    let explained =
                        seen.Items
                        |> Array.forall (fun field ->
                            others
                            |> Array.exists (fun entry ->
                                entry.Outcome <> Outcome.Failed
                                && entry.Outcome <> Outcome.ConditionFailed
                                && writesAny (Document.Of [ field ]) entry))

                    let buried =
                        others
                        |> Array.exists (fun delete ->
                            delete.Operation.Kind = OperationKind.Delete
                            && isAcknowledged delete
                            && delete.CompletedAt < culprit.InvokedAt
                            && writers |> Array.forall (fun write -> write.CompletedAt < delete.InvokedAt))

                    // Acknowledged before the read began, and begun after all that the read saw had been acknowledged.
                    let overtaken =
                        others
                        |> Array.exists (fun newer ->
                            isAcknowledged newer
                            && newer.CompletedAt < culprit.InvokedAt
                            && newer.Operation.Kind <> OperationKind.Merge
                            && writers |> Array.exists (fun write -> write.CompletedAt < newer.InvokedAt))

                    let partLost =
                        others
                        |> Array.exists (fun merge ->
                            isAcknowledged merge
                            && merge.Operation.Kind = OperationKind.Merge
                            && merge.CompletedAt < culprit.InvokedAt
                            && not (writesAny seen merge))

                    if not explained then Anomaly.Orphaned
                    elif buried then Anomaly.Resurrected
                    elif isFinal culprit then Anomaly.Lost
                    elif overtaken then Anomaly.Stale
                    elif partLost then Anomaly.Lost
                    else Anomaly.Stale

    let private maxLines = 40

    let tell (key: string) (anomaly: Anomaly) (prefix: HistoryEntry[]) (culprit: HistoryEntry) (why: string option) =
        let text = StringBuilder()

        text.AppendLine(
            $"document \"{key}\": {anomaly}. No order of these {prefix.Length} calls explains their replies:"
        )
        |> ignore

        let shown =
            if prefix.Length <= maxLines then
                prefix
            else
                text.AppendLine $"  ... {prefix.Length - maxLines} earlier calls ..." |> ignore
                Array.skip (prefix.Length - maxLines) prefix

        for entry in shown do
            text.Append("  ").Append(entry.ToString()) |> ignore

            if obj.ReferenceEquals(entry, culprit) then
                text.Append "   <- can't be explained; all replies before it can" |> ignore

            text.AppendLine() |> ignore

        match why with
        | Some reason -> text.Append("  because ").Append(reason).ToString()
        | None -> text.Append("  (each order was tried)").ToString()

    /// None where the document's history has an explanation.
    let judge
        (options: CheckerOptions)
        (withStory: bool)
        (isFinal: HistoryEntry -> bool)
        (key: string)
        (entries: HistoryEntry[])
        =
        let problem = Problem.build entries Int64.MaxValue

        match Search.decide problem options.MaxStepsPerKey options.MaxMillisecondsPerKey with
        | Found.Linearizable -> None
        | Found.Undecided ->
            let story =
                $"document \"{key}\": undecided after {options.MaxStepsPerKey} steps or {options.MaxMillisecondsPerKey} ms, {entries.Length} calls; raise MaxStepsPerKey"

            Some(Violation(key, Anomaly.Undecided, story, entries, null))
        | Found.NotLinearizable ->
            let until =
                if withStory then
                    shortest entries options
                else
                    Int64.MaxValue

            let prefix =
                entries
                |> Array.filter (fun entry ->
                    entry.InvokedAt <= until && entry.Operation.Kind <> OperationKind.EventualRead)

            let culprit =
                prefix
                |> Array.filter (fun entry ->
                    entry.CompletedAt <= until
                    && entry.CompletedAt < Int64.MaxValue
                    && entry.Outcome <> Outcome.Failed)
                |> Array.maxBy (fun entry -> struct (entry.CompletedAt, not entry.Operation.IsWrite, entry.Id))

            let anomaly = classify prefix culprit isFinal

            let story =
                if withStory then
                    tell key anomaly prefix culprit (Shortcuts.contradiction (Problem.build entries until))
                else
                    $"document \"{key}\": {anomaly}. {entries.Length} calls without an explanation (story left out, see MaxStories)"

            Some(Violation(key, anomaly, story, prefix, culprit))

    /// An eventual read may be old, but each of its values was written by a write begun before the read ended.
    let eventual (key: string) (entries: HistoryEntry[]) =
        let written = Dictionary<struct (string * string), int64>()
        let mutable any = false

        for entry in entries do
            any <- any || entry.Operation.Kind = OperationKind.EventualRead

        if not any then
            None
        else
            for entry in entries do
                match entry.Operation.Fields with
                | null -> ()
                | _ when entry.Outcome = Outcome.Failed || entry.Outcome = Outcome.ConditionFailed -> ()
                | fields ->
                    for field in fields.Items do
                        written.TryAdd(struct (field.Key, field.Value), entry.InvokedAt) |> ignore

            entries
            |> Array.tryPick (fun entry ->
                match entry.Operation.Kind, entry.Reply with
                | OperationKind.EventualRead, reply when not (isNull reply) ->
                    match (nonNull reply).Document with
                    | null -> None
                    | seen ->
                        seen.Items
                        |> Array.tryFind (fun field ->
                            match written.TryGetValue(struct (field.Key, field.Value)) with
                            | true, at -> at > entry.CompletedAt
                            | _ -> true)
                        |> Option.map (fun field ->
                            let story =
                                $"document \"{key}\": Orphaned. No write that may have been applied explains {field.Key}={field.Value} in\n  {entry}"

                            Violation(key, Anomaly.Orphaned, story, [| entry |], entry))
                | _ -> None)

/// Judges histories: each document by itself, since linearizability is local (Herlihy and Wing, 1990).
[<AbstractClass; Sealed>]
type Checker =

    static member internal Run
        (entries: HistoryEntry[], options: CheckerOptions, isFinal: HistoryEntry -> bool)
        : Verdict =
        let byKey = Dictionary<string, ResizeArray<HistoryEntry>>(StringComparer.Ordinal)

        for entry in entries do
            match byKey.TryGetValue entry.Operation.Key with
            | true, list -> list.Add entry
            | _ -> byKey[entry.Operation.Key] <- ResizeArray [ entry ]

        let keys = Seq.toArray byKey.Keys
        Array.Sort(keys, StringComparer.Ordinal)
        let violations = ResizeArray<Violation>()

        for key in keys do
            let mine = Judge.byTime byKey[key]
            let withStory = violations.Count < options.MaxStories

            match Judge.judge options withStory isFinal key mine with
            | Some violation -> violations.Add violation
            | None -> Judge.eventual key mine |> Option.iter violations.Add

        Verdict(keys.Length, entries.Length, violations.ToArray())

    /// Judges what has been recorded up to now.
    static member Check(history: History, options: CheckerOptions) : Verdict =
        ArgumentNullException.ThrowIfNull(history, nameof history)
        ArgumentNullException.ThrowIfNull(options, nameof options)
        Checker.Run(history.Entries(), options, (fun _ -> false))

    /// The same with the default options.
    static member Check(history: History) : Verdict =
        Checker.Check(history, CheckerOptions())
