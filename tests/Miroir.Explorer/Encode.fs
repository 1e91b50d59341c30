namespace Miroir.Explorer

open System
open Miroir.Core
open Miroir.Core.Cutover

/// The explicit encoding of what Core's types say. Times, messages and counts are left out: nothing is decided by them.
[<RequireQualifiedAccess>]
module Encode =

    let shard (e: Encoder) (s: ShardId) =
        e.Byte s.Generation
        e.Byte s.Shard

    let stamp (e: Encoder) (s: RouteStamp) =
        shard e s.Shard
        e.Num s.Epoch

    let replica (e: Encoder) (r: Replica) =
        e.Text r.Node
        shard e r.Store

    let version (e: Encoder) (v: DocumentVersion) =
        e.Num v.Term
        e.Num v.Clock

    /// The operations whose marks a document carries, as bits.
    let marks (document: Document) : int =
        if document.IsTombstone then
            0
        else
            int document.Body.Span[0]

    let document (e: Encoder) (d: Document | null) =
        match d with
        | null -> e.Byte 0
        | document ->
            e.Byte(if document.IsTombstone then 1 else 2)
            version e document.Version
            e.Byte(marks document)

    let guid (e: Encoder) (g: Guid) =
        let bytes = g.ToByteArray()
        // Incarnations here are small numbers.
        e.Byte(int bytes[0])
        e.Byte(int bytes[1])

    let targets (e: Encoder) (all: TargetShard[]) =
        e.Each all (fun t ->
            shard e t.Shard
            e.Each t.Nodes e.Text)

    let route (e: Encoder) (r: Route) =
        stamp e r.Stamp
        e.Text(r.Stage.ToString())
        e.Each r.Owners e.Text
        targets e r.Targets
        e.Text r.Writer.Router
        e.Num r.Writer.Incarnation
        e.Num r.Writer.Term
        e.Each r.Fences (stamp e)
        e.Num r.Migration

    let private change (e: Encoder) (c: RouteChange) =
        shard e c.Shard
        e.Num c.FromEpoch
        e.Maybe c.Route (route e)

    let private layout (e: Encoder) (l: LayoutChange option) =
        e.Maybe l (fun l -> e.Num l.Layout.Generation)

    let action (e: Encoder) (a: Action) =
        match a with
        | Publish(changes, l) ->
            e.Byte 1
            e.Each changes (change e)
            layout e l
        | Inspect shards ->
            e.Byte 2
            e.Each shards (shard e)
        | MakeStore(node, c) ->
            e.Byte 3
            e.Text node
            stamp e c.Stamp
            shard e c.Store
            e.Num c.Migration
            e.Num c.Attempt
        | RaiseBarrier(node, c) ->
            e.Byte 4
            e.Text node
            stamp e c.Stamp
            shard e c.Store
            e.Maybe c.Route (route e)
        | Reconcile(node, c) ->
            e.Byte 5
            e.Text node
            stamp e c.Stamp
            shard e c.Store
            e.Num(int64 c.Mode)
            e.Num c.Migration
            e.Num c.Attempt

            e.Each c.Sources (fun s ->
                e.Text s.Node
                shard e s.Store
                guid e s.Incarnation)
        | DropStore(node, c) ->
            e.Byte 6
            e.Text node
            stamp e c.Stamp
            shard e c.Store
            guid e c.Incarnation
            e.Num c.Migration
        | Cancel sequence ->
            e.Byte 7
            e.Num sequence
        | Wait _ -> e.Byte 8
        | AskWriter(router, s) ->
            e.Byte 9
            e.Text router
            stamp e s

    let answer (e: Encoder) (a: Answer) =
        match a with
        | Published -> e.Byte 1
        | PublishConflict -> e.Byte 2
        | PublishUnknown _ -> e.Byte 3
        | Inspected found ->
            e.Byte 4
            e.Each found (fun r -> e.Maybe r (route e))
        | MakeAnswered(Made g) ->
            e.Byte 5
            guid e g
        | MakeAnswered(MakeStaleEpoch epoch) ->
            e.Byte 6
            e.Num epoch
        | MakeAnswered(MakeRefused _) -> e.Byte 7
        | BarrierAnswered(Confirmed g) ->
            e.Byte 8
            guid e g
        | BarrierAnswered ConfirmedNotServing -> e.Byte 9
        | BarrierAnswered(BarrierAbove epoch) ->
            e.Byte 10
            e.Num epoch
        | BarrierAnswered(BarrierRefused _) -> e.Byte 11
        | Progressed _ -> e.Byte 12
        | ReconcileAnswered(Progress p) ->
            e.Byte 13
            guid e p.Incarnation
            e.Flag p.IsComplete
        | ReconcileAnswered(ReconcileStaleEpoch epoch) ->
            e.Byte 14
            e.Num epoch
        | ReconcileAnswered ReconcileNotServing -> e.Byte 15
        | ReconcileAnswered(SourceFailed(node, _)) ->
            e.Byte 16
            e.Text node
        | ReconcileAnswered(ReconcileRefused _) -> e.Byte 17
        | DropAnswered Dropped -> e.Byte 18
        | DropAnswered AlreadyGone -> e.Byte 19
        | DropAnswered(DropStaleEpoch epoch) ->
            e.Byte 20
            e.Num epoch
        | DropAnswered NotTheSame -> e.Byte 21
        | DropAnswered(DropRefused _) -> e.Byte 22
        | Elapsed -> e.Byte 23
        | WritesOpen writes ->
            e.Byte 25
            e.Num writes.Count
        | Unreachable _ -> e.Byte 24

    let putReply (e: Encoder) (reply: PutReply) =
        match reply with
        | Applied _ -> e.Byte 1
        | Superseded stored ->
            e.Byte 2
            version e stored
        | StaleEpoch(epoch, r) ->
            e.Byte 3
            e.Num epoch
            e.Maybe r (route e)
        | NotServing -> e.Byte 4
        | Refused _ -> e.Byte 5

    let private taskKind kind =
        match kind with
        | Making -> 0
        | Filling -> 1
        | Fencing -> 2
        | Passing -> 3
        | Checking -> 4
        | Ending -> 5
        | Dropping -> 6
        | Watching -> 7

    let private step (s: Step) =
        match s with
        | Queued -> 0
        | Opening -> 1
        | Step.Copying -> 2
        | Ready -> 3
        | Joining -> 4
        | Draining -> 5
        | DeltaPass -> 6
        | Proving -> 7
        | Activating -> 8
        | Holding -> 9
        | Reproving -> 10
        | Retiring -> 11
        | Closing -> 12
        | Cleaning -> 13
        | Finished -> 14
        | FallingBack -> 15
        | Undoing -> 16
        | Clearing -> 17
        | Undone -> 18

    let private member' (e: Encoder) (m: Member) =
        replica e m.Replica
        guid e m.Incarnation
        e.Flag m.Position.IsSome
        e.Maybe m.Pass (fun p -> guid e p.Incarnation)
        e.Num m.Chores.Count

        for KeyValue(kind, chore) in m.Chores do
            e.Byte(taskKind kind)
            e.Num chore.Failures

            match chore.Status with
            | Idle -> e.Byte 0
            | Busy sequence ->
                e.Byte 1
                e.Num sequence
            | Resting sequence ->
                e.Byte 2
                e.Num sequence
            | Done -> e.Byte 3

    let private held (e: Encoder) (all: (Replica * Guid)[]) =
        e.Each all (fun (r, g) ->
            replica e r
            guid e g)

    let private move (e: Encoder) (m: Move) =
        shard e m.Source
        targets e m.Targets
        e.Byte(step m.Step)
        e.Num m.Attempt
        e.Each m.Owners (member' e)
        e.Each m.Takers (fun members -> e.Each members (member' e))
        e.Num m.JointEpoch
        e.Num m.DrainTimer

        e.Num(
            match m.Writer.Status with
            | Idle -> 0L
            | Done -> -1L
            | Busy sequence
            | Resting sequence -> sequence
        )

        e.Num m.Writer.Failures
        e.Flag m.Held
        e.Each m.Leftovers (replica e)

        e.Each m.Certificates (fun c ->
            shard e c.Target
            e.Num c.JointEpoch
            held e c.Holders
            held e c.Sources)

    let private purpose (e: Encoder) (p: Purpose) =
        match p with
        | ForChore(i, r, kind) ->
            e.Byte 1
            e.Num i
            replica e r
            e.Byte(taskKind kind)
        | ForRest(i, r, kind) ->
            e.Byte 2
            e.Num i
            replica e r
            e.Byte(taskKind kind)
        | ForDrain i ->
            e.Byte 3
            e.Num i
        | ForWriter i ->
            e.Byte 7
            e.Num i
        | ForPublish -> e.Byte 4
        | ForRetention -> e.Byte 5
        | ForNothing -> e.Byte 6

    let state (e: Encoder) (s: State) =
        e.Num s.Plan.Migration

        match s.Status with
        | Running -> e.Byte 0
        | Paused -> e.Byte 1
        | Aborting _ -> e.Byte 2
        | Completing -> e.Byte 3
        | Complete -> e.Byte 4
        | Aborted _ -> e.Byte 5
        | Deposed -> e.Byte 6

        e.Flag s.CutoverOrdered
        e.Num s.RetentionTimer
        e.Num s.Routes.Count

        for KeyValue(_, r) in s.Routes do
            route e r

        e.Each s.Moves (move e)
        e.Num s.Outstanding.Count

        for KeyValue(sequence, (effect, p)) in s.Outstanding do
            e.Num sequence
            action e effect.Action
            purpose e p

        e.Num s.Publishing.Count

        for KeyValue(sequence, pending) in s.Publishing do
            e.Num sequence
            e.Each pending.Changes (change e)
            layout e pending.Layout

        e.Num s.Writers.Count

        for KeyValue(shardId, (router, incarnation)) in s.Writers do
            shard e shardId
            e.Text router
            e.Num incarnation
