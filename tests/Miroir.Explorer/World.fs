namespace Miroir.Explorer

open System
open System.Collections.Concurrent
open Miroir.Core
open Miroir.Core.Cutover

type OpKind =
    /// Replaces the document by one that carries the operation's mark alone.
    | Put
    /// Adds the operation's mark to those that are there.
    | Merge
    | Delete
    /// A confirmed read.
    | Read

/// An operation that some client may begin at any moment.
type Script = { Kind: OpKind; Key: int; Mark: int }

/// How often what makes a run unlike any other may happen. What follows from it is unbounded.
type Budget = {
    /// An answer does not come in time, although what was asked may still arrive.
    Timeouts: int
    /// An answer is on its way for longer than what happens meanwhile.
    Delays: int
    /// A request arrives twice.
    Duplicates: int
    /// The coordinator is lost; another takes its journal up.
    Crashes: int
    /// A shard is given to another writer.
    Writers: int
    Aborts: int
    /// The operator pauses the migration, and lets it go on some time later.
    Pauses: int
    /// The drain timeout runs out.
    Drains: int
    /// A store is lost.
    Losses: int
    /// A client's time is over.
    Deadlines: int
} with

    static member None = {
        Timeouts = 0
        Delays = 0
        Duplicates = 0
        Crashes = 0
        Writers = 0
        Aborts = 0
        Pauses = 0
        Drains = 0
        Losses = 0
        Deadlines = 0
    }

/// A world before anything has happened in it.
type Setting = {
    Name: string
    About: string
    Nodes: string[]
    Routers: string[]
    Keys: Key[]
    /// Every shard of every layout.
    Shards: ShardId[]
    Owners: string[]
    /// Where each migration in turn goes to: the targets with their nodes.
    Goals: TargetShard[][]
    Operations: Script[]
    Budget: Budget
    Limits: Limits
    /// Whether keys are there before, and which marks they carry (0: none).
    Before: int
    /// Whether states in which the same can still happen are made one. Where not, only what has two names is given one.
    IsReduced: bool
} with

    member this.ShardIndex(shard: ShardId) : int =
        let mutable i = 0

        while this.Shards[i].Generation <> shard.Generation
              || this.Shards[i].Shard <> shard.Shard do
            i <- i + 1

        i

    member this.NodeIndex(node: string) : int =
        let mutable i = 0

        while not (String.Equals(this.Nodes[i], node)) do
            i <- i + 1

        i

/// A route, known by the fingerprint of its content. There is one object for each content.
[<Sealed>]
type RouteRef private (route: Route, print: Fingerprint) =
    static let known = ConcurrentDictionary<Fingerprint, RouteRef>()
    member _.Route = route
    member _.Print = print
    member _.Epoch = route.Epoch

    static member Of(route: Route) : RouteRef =
        let print = Encoder.Of(fun e -> Encode.route e route)

        match known.TryGetValue print with
        | true, there -> there
        | _ -> known.GetOrAdd(print, RouteRef(route, print))

/// One node's copy of one shard.
type Slot = {
    IsServing: bool
    /// Grows with each making.
    Incarnation: int
    Migration: int64
    /// By key; null: nothing stored.
    Docs: (Document | null)[]
    /// What a lost disk had held; empty where none was lost.
    Lost: (Document | null)[]
}

[<Sealed>]
type NodeState(barriers: int64[], told: RouteRef option[], slots: Slot[]) =
    let print =
        Encoder.Of(fun e ->
            for i in 0 .. barriers.Length - 1 do
                e.Num barriers[i]

                match told[i] with
                | None -> e.Byte 0
                | Some r ->
                    e.Byte 1
                    e.Print r.Print

                let slot = slots[i]
                e.Flag slot.IsServing
                e.Num slot.Incarnation

                if slot.IsServing then
                    e.Num slot.Migration

                    for d in slot.Docs do
                        Encode.document e d

                e.Num slot.Lost.Length

                for d in slot.Lost do
                    Encode.document e d)

    /// By shard: the lowest epoch admitted.
    member _.Barriers = barriers
    /// By shard: the route that a barrier told of.
    member _.Told = told
    member _.Slots = slots
    member _.Print = print

/// A router incarnation as the writer of one shard in one term.
type WriterState = {
    Term: int64
    /// Its barriers; None once they are confirmed.
    Activation: ActivationState option
    /// The last clock given.
    Clock: int64
    Issued: Issued
}

[<Sealed>]
type RouterState(known: RouteRef option[], writers: WriterState option[]) =
    let print =
        Encoder.Of(fun e ->
            for i in 0 .. known.Length - 1 do
                match known[i] with
                | None -> e.Byte 0
                | Some r ->
                    e.Byte 1
                    e.Print r.Print

                match writers[i] with
                | None -> e.Byte 0
                | Some w ->
                    e.Byte 1
                    e.Num w.Term
                    e.Num w.Clock

                    e.Maybe w.Activation (fun a ->
                        Encode.stamp e a.Route.Stamp
                        e.Flag a.IsOutdated
                        e.Each a.Confirmed e.Flag)

                    e.Each w.Issued.Documents (fun d ->
                        e.Text d.Key.Text
                        Encode.document e d))

    /// By shard: the table.
    member _.Known = known
    /// By shard: this incarnation as its writer.
    member _.Writers = writers
    member _.Print = print

/// Where an operation is on its way.
type Phase =
    | Idle = 0
    /// A confirmed read asks.
    | Reading = 1
    /// A confirmed read is to start again.
    | ReadAgain = 2
    /// Begun, and waiting for a writer that takes it.
    | Waiting = 3
    /// The writer reads what an update rests on.
    | Basing = 4
    | Putting = 5
    /// Its term ended under it.
    | Orphaned = 6
    /// The writer of the new term looks for it.
    | Inspecting = 7
    /// It was found, and is put back before it is acknowledged.
    | Completing = 8
    /// A read in the key's queue.
    | WriterRead = 9
    /// What that read found is put back before it is answered.
    | WriterPutBack = 10
    | Acknowledged = 11
    | Unknown = 12
    | Answered = 13

/// An operation's life so far.
[<Sealed>]
type Op
    (
        phase: Phase,
        router: int,
        shard: int,
        term: int64,
        run: int,
        before: int,
        route: RouteRef option,
        read: ReadState option,
        write: WriteState option,
        document: Document | null,
        isSecondTry: bool,
        value: int
    ) =
    let print =
        Encoder.Of(fun e ->
            e.Byte(int phase)

            if phase <> Phase.Idle then
                e.Byte before
                e.Num run
                e.Byte router
                e.Byte shard
                e.Num term
                e.Flag isSecondTry
                Encode.document e document
                e.Num value

                match route with
                | None -> e.Byte 0
                | Some r ->
                    e.Byte 1
                    e.Print r.Print

                e.Maybe read (fun r ->
                    e.Flag r.IsOpen

                    e.Each r.Heard (fun heard ->
                        match heard with
                        | Heard.Nothing -> e.Byte 0
                        | Heard.Failed -> e.Byte 1
                        | Heard.Holds d ->
                            e.Byte 2
                            Encode.document e d))

                e.Maybe write (fun w ->
                    Encode.version e w.Version
                    e.Flag w.IsOpen
                    e.Each w.Progress (fun p -> e.Byte(int p))))

    member _.Phase = phase
    /// The router where it is.
    member _.Router = router
    /// The shard, and the writer's term, in whose queue it is.
    member _.Shard = shard
    member _.Term = term
    /// Which of its runs of putting this is: answers to an earlier one are nobody's. 0 once it is reduced: what is on
    /// its way to an operation then is of its run.
    member _.Run = run
    /// The operations that had been answered before this one began, as bits.
    member _.Before = before
    member _.Route = route
    member _.ReadState = read
    member _.WriteState = write
    /// What it puts, or was acknowledged with.
    member _.Document = document
    /// Put once more, after an inspection.
    member _.IsSecondTry = isSecondTry
    /// What a read answered: the marks seen, 0 for no document.
    member _.Value = value
    member _.Print = print

    static member Idle = Op(Phase.Idle, 0, 0, 0L, 0, 0, None, None, None, null, false, 0)

    member _.IsEnded = phase >= Phase.Acknowledged

    member _.IsPutting =
        phase = Phase.Putting || phase = Phase.Completing || phase = Phase.WriterPutBack

    member _.AsksAtWriter =
        phase = Phase.Basing || phase = Phase.Inspecting || phase = Phase.WriterRead

    /// Whether it has the key's queue of its writer.
    member this.IsInQueue = this.IsPutting || this.AsksAtWriter

/// Something on its way.
type Cargo =
    /// Nobody waits for the answer where the operation is -1.
    | PutRequest of op: int * run: int * stamp: RouteStamp * replica: Replica * document: Document
    | PutAnswer of op: int * run: int * epoch: int64 * replica: Replica * reply: PutReply
    /// An effect of the coordinator's; sequence 0: nobody waits for the answer.
    | Request of sequence: int64 * action: Action
    /// A reconcile has read its sources, and is to put what it read.
    | Carried of
        sequence: int64 *
        target: string *
        command: ReconcileCommand *
        incarnation: Guid *
        documents: (Document | null)[]
    | Reply of sequence: int64 * answer: Answer

[<Sealed>]
type Flight(cargo: Cargo) =
    let print =
        Encoder.Of(fun e ->
            match cargo with
            | PutRequest(op, run, stamp, replica, document) ->
                e.Byte 1
                e.Num op
                e.Num run
                Encode.stamp e stamp
                Encode.replica e replica
                e.Text document.Key.Text
                Encode.document e document
            | PutAnswer(op, run, epoch, replica, reply) ->
                e.Byte 2
                e.Num op
                e.Num run
                e.Num epoch
                Encode.replica e replica
                Encode.putReply e reply
            | Request(sequence, action) ->
                e.Byte 3
                e.Num sequence
                Encode.action e action
            | Carried(sequence, target, command, incarnation, documents) ->
                e.Byte 4
                e.Num sequence
                e.Text target
                Encode.stamp e command.Stamp
                Encode.shard e command.Store
                Encode.guid e incarnation
                e.Each documents (Encode.document e)
            | Reply(sequence, answer) ->
                e.Byte 5
                e.Num sequence
                Encode.answer e answer)

    member _.Cargo = cargo
    member _.Print = print

/// The coordinator's state, the same object for the same content.
[<Sealed>]
type Coordinator(number: int, state: State, print: Fingerprint) =
    member _.Number = number
    member _.State = state
    member _.Print = print
    member _.IsEnded = state.IsEnded

/// Everything that is, at one moment.
type World = {
    Coordinator: Coordinator
    /// Migrations begun.
    Migrations: int
    /// By shard: the metadata.
    Published: RouteRef option[]
    Nodes: NodeState[]
    Routers: RouterState[]
    Ops: Op[]
    /// In order of their fingerprints.
    Flights: Flight[]
    Left: Budget
    /// What this state, or the step into it, breaks; no part of the state.
    Broken: string
} with

    member this.Print: Fingerprint =
        Encoder.Of(fun e ->
            e.Print this.Coordinator.Print
            e.Byte this.Migrations

            for p in this.Published do
                match p with
                | None -> e.Byte 0
                | Some r ->
                    e.Byte 1
                    e.Print r.Print

            for n in this.Nodes do
                e.Print n.Print

            for r in this.Routers do
                e.Print r.Print

            for o in this.Ops do
                e.Print o.Print

            e.Num this.Flights.Length

            for f in this.Flights do
                e.Print f.Print

            let b = this.Left
            e.Byte b.Timeouts
            e.Byte b.Delays
            e.Byte b.Duplicates
            e.Byte b.Crashes
            e.Byte b.Writers
            e.Byte b.Aborts
            e.Byte b.Pauses
            e.Byte b.Drains
            e.Byte b.Losses
            e.Byte b.Deadlines)
