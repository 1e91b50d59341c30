namespace Miroir.Oracle

open System
open System.Collections.Generic
open System.IO
open System.Threading

/// One recorded call; `Invoke` gives it out as the token for `Complete`.
[<Sealed>]
type HistoryEntry internal (id: int64, client: int, operation: Operation, invokedAt: int64) =
    let mutable reply: Reply | null = null
    let mutable completedAt = Int64.MaxValue

    member _.Id = id
    member _.Client = client
    member _.Operation = operation

    /// In the history's own unit: ticks of its counter, or whatever the caller supplied.
    member _.InvokedAt = invokedAt

    /// When the reply came; `Int64.MaxValue` where none did, or an `Unknown` one.
    member _.CompletedAt = completedAt

    /// Null while the call is open, which is judged like `Unknown`.
    member _.Reply: Reply | null = reply

    member _.Outcome =
        match reply with
        | null -> Outcome.Unknown
        | known -> known.Outcome

    member internal _.SetReply(given: Reply, at: int64) =
        // Closed entries may be read by a checker on another thread: the time is set before the reply is.
        if given.Outcome <> Outcome.Unknown then
            Volatile.Write(&completedAt, at)

        Volatile.Write(&reply, given)

    override _.ToString() =
        let until =
            if completedAt = Int64.MaxValue then
                "..."
            else
                string completedAt

        let answer =
            match reply with
            | null -> "no reply"
            | known ->
                let version =
                    match known.Version with
                    | null -> ""
                    | token -> $" (version {token})"

                match known.Outcome with
                | Outcome.Ok when operation.IsWrite -> "ok" + version
                | Outcome.Ok ->
                    match known.Document with
                    | null -> "absent"
                    | document -> $"{document}{version}"
                | Outcome.Failed -> "failed (not applied)"
                | Outcome.ConditionFailed -> "condition failed"
                | _ -> "unknown"

        $"[{invokedAt}..{until}] client {client}: {operation} -> {answer}"

/// Records what clients asked and were told. Append-only; any number of threads. Times come from one
/// counter (`Invoke`, `Complete`) or from the caller (`InvokeAt`, `CompleteAt`): one history keeps to one of them.
[<Sealed>]
type History private (log: Stream | null) =
    let gate = Lock()
    let entries = List<HistoryEntry>()
    let mutable clock = 0L

    let write (line: byte[]) =
        match log with
        | null -> ()
        // One write call for a line, no buffer of our own: what was recorded outlives the harness.
        | stream -> stream.Write(line, 0, line.Length)

    /// Kept in memory only.
    new() = new History(null)

    /// Also streamed to a new NDJSON file, a line for each invocation and each reply.
    static member Streaming(path: string) =
        new History(new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, 0))

    /// Reads a streamed file back. A torn last line, as a killed harness leaves, is passed over.
    static member Load(path: string) : History =
        let history = new History(null)
        history.Restore(HistoryLog.read path)
        history

    member private _.Restore(lines: seq<HistoryLog.Line>) =
        let byId = Dictionary<int64, HistoryEntry>()

        for line in lines do
            match line with
            | HistoryLog.Invoked(id, client, at, operation) ->
                let entry = HistoryEntry(id, client, operation, at)
                byId.Add(id, entry)
                entries.Add entry
                clock <- max clock at
            | HistoryLog.Completed(id, at, reply) ->
                byId[id].SetReply(reply, at)
                clock <- max clock at

    member private _.Append(client: int, operation: Operation, at: int64 voption) =
        ArgumentNullException.ThrowIfNull(operation, nameof operation)

        lock gate (fun () ->
            clock <- ValueOption.defaultValue (clock + 1L) at
            let entry = HistoryEntry(int64 entries.Count, client, operation, clock)
            entries.Add entry

            if not (isNull log) then
                write (HistoryLog.invoked entry.Id client clock operation)

            entry)

    member private _.Close(token: HistoryEntry, reply: Reply, at: int64 voption) =
        ArgumentNullException.ThrowIfNull(token, nameof token)
        ArgumentNullException.ThrowIfNull(reply, nameof reply)

        if not (isNull token.Reply) then
            invalidOp $"operation {token.Id} on \"{token.Operation.Key}\" already has a reply; complete each token once"

        if not token.Operation.IsWrite && reply.Outcome = Outcome.ConditionFailed then
            invalidArg (nameof reply) "a read has no condition to fail; use Failed or Unknown"

        lock gate (fun () ->
            let time = ValueOption.defaultValue (clock + 1L) at

            if time < token.InvokedAt then
                invalidArg "at" $"operation {token.Id} began at {token.InvokedAt}, so its reply can't come at {time}"

            clock <- time
            token.SetReply(reply, time)

            if not (isNull log) then
                write (HistoryLog.completed token.Id time reply))

    /// Call before the request is sent.
    member this.Invoke(client: int, operation: Operation) : HistoryEntry =
        this.Append(client, operation, ValueNone)

    /// Call after the reply has come. An operation never completed counts as `Unknown`.
    member this.Complete(token: HistoryEntry, reply: Reply) : unit = this.Close(token, reply, ValueNone)

    /// `Invoke` at a time given by the caller (simulated time, say). Equal times count as concurrent.
    member this.InvokeAt(client: int, operation: Operation, at: int64) : HistoryEntry =
        this.Append(client, operation, ValueSome at)

    /// `Complete` at a time given by the caller.
    member this.CompleteAt(token: HistoryEntry, reply: Reply, at: int64) : unit = this.Close(token, reply, ValueSome at)

    member _.Count = lock gate (fun () -> entries.Count)

    /// A copy of what has been recorded up to now.
    member _.Entries() : HistoryEntry[] = lock gate (fun () -> entries.ToArray())

    interface IDisposable with
        member _.Dispose() =
            match log with
            | null -> ()
            | stream -> stream.Dispose()
