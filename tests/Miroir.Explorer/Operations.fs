namespace Miroir.Explorer

open Miroir.Core
open Miroir.Core.Cutover

/// The life of an operation at its routers: the shipped machines, and between them what the routing hosts do.
[<RequireQualifiedAccess>]
module Operations =

    let private marksOf (document: Document | null) =
        match document with
        | null -> 0
        | d -> Encode.marks d

    /// The router's own writer of the shard, while its term goes on.
    let writerOf (w: World) (op: Op) : WriterState option =
        match w.Routers[op.Router].Writers[op.Shard] with
        | Some writer when writer.Term = op.Term -> Some writer
        | _ -> None

    let private ended (op: Op) phase document value =
        Op(phase, 0, 0, 0L, 0, op.Before, None, None, None, document, false, value)

    /// The same, in its run of this number.
    let inRun (run: int) (op: Op) : Op =
        Op(
            op.Phase,
            op.Router,
            op.Shard,
            op.Term,
            run,
            op.Before,
            op.Route,
            op.ReadState,
            op.WriteState,
            op.Document,
            op.IsSecondTry,
            op.Value
        )

    /// What it was acknowledged with is no longer asked for.
    let forgotten (op: Op) : Op = ended op op.Phase null op.Value

    /// At a writer, or nowhere, with nothing under way.
    let waiting (op: Op) : Op =
        Op(Phase.Waiting, 0, 0, 0L, op.Run, op.Before, None, None, None, null, false, 0)

    let private asking (op: Op) phase router shard term (route: RouteRef) (read: ReadState) =
        Op(phase, router, shard, term, op.Run, op.Before, Some route, Some read, None, op.Document, op.IsSecondTry, 0)

    let private settled (setting: Setting) (w: World) (i: int) (op: Op) : World =
        match writerOf w op, op.Document with
        | Some writer, (NonNull document) ->
            Edit.withWriter
                w
                op.Router
                op.Shard
                (Some {
                    writer with
                        Issued = writer.Issued.Settle(setting.Keys[setting.Operations[i].Key], document.Version)
                })
        | _ -> w

    let private remembered (w: World) (op: Op) : World =
        match writerOf w op, op.Document with
        | Some writer, (NonNull document) ->
            Edit.withWriter
                w
                op.Router
                op.Shard
                (Some {
                    writer with
                        Issued = writer.Issued.Remember document
                })
        | _ -> w

    /// The router has this route of the shard now (None: the shard is no more).
    let rec follow (setting: Setting) (w: World) (r: int) (s: int) (route: RouteRef option) : World =
        let router = w.Routers[r]
        let name = setting.Routers[r]

        let begin' (route: Route) =
            let activation = Activation.start route

            Some {
                Term = route.Writer.Term
                Activation = (if activation.IsActive then None else Some activation)
                Clock = 0L
                Issued = Issued.Empty 8
            }

        let writer =
            match router.Writers[s], route with
            | _, None -> None
            | Some writer, Some now when
                now.Route.Stage <> Retired
                && now.Route.Writer.Is(name, 1L)
                && now.Route.Writer.Term = writer.Term
                ->
                match writer.Activation with
                | Some activation when activation.Route.Epoch <> now.Epoch ->
                    let again = Activation.start now.Route

                    Some {
                        writer with
                            Activation = (if again.IsActive then None else Some again)
                    }
                | _ -> Some writer
            | _, Some now when now.Route.Stage <> Retired && now.Route.Writer.Is(name, 1L) -> begin' now.Route
            | _ -> None

        let mutable w =
            Edit.withRouter
                w
                r
                (RouterState(Array.updateAt s route router.Known, Array.updateAt s writer router.Writers))

        for i in 0 .. w.Ops.Length - 1 do
            let op = w.Ops[i]

            if op.Router = r && op.Shard = s then
                if op.IsPutting then
                    let input =
                        match route with
                        | None -> WriteInput.Deadline
                        | Some now -> WriteInput.RouteIs now.Route

                    w <- hearPut setting w i input
                elif op.AsksAtWriter && op.Term >= 0L && (writerOf w op).IsNone then
                    w <-
                        Edit.withOp
                            w
                            i
                            (if op.Phase = Phase.Inspecting then
                                 ended op Phase.Unknown null 0
                             else
                                 waiting op)

        w

    /// A node told of a newer route.
    and adopt (setting: Setting) (w: World) (r: int) (route: Route option) : World =
        match route with
        | None -> w
        | Some route ->
            let s = setting.ShardIndex route.Shard

            match w.Routers[r].Known[s] with
            | Some known when known.Epoch < route.Epoch -> follow setting w r s (Some(RouteRef.Of route))
            | _ -> w

    /// One step of an operation's put.
    and hearPut (setting: Setting) (w: World) (i: int) (input: WriteInput) : World =
        let op = w.Ops[i]

        match op.WriteState with
        | None -> w
        | Some state ->
            let struct (next, effects) = WriteMachine.step state input

            let route =
                match input with
                | WriteInput.RouteIs route when next.Route.Epoch = route.Epoch -> Some(RouteRef.Of route)
                | _ -> op.Route

            let op =
                Op(
                    op.Phase,
                    op.Router,
                    op.Shard,
                    op.Term,
                    op.Run,
                    op.Before,
                    route,
                    None,
                    Some next,
                    op.Document,
                    op.IsSecondTry,
                    op.Value
                )

            perform setting (Edit.withOp w i op) i effects

    and private perform (setting: Setting) (w: World) (i: int) (effects: WriteEffect list) : World =
        let op = w.Ops[i]
        let mutable w = w

        for effect in effects do
            match effect, op.Document, op.Route with
            | WriteEffect.Send(epoch, replicas), (NonNull document), Some route ->
                w <-
                    Edit.addFlights w [
                        for replica in replicas ->
                            Flight(
                                PutRequest(
                                    i,
                                    op.Run,
                                    {
                                        Shard = route.Route.Shard
                                        Epoch = epoch
                                    },
                                    replica,
                                    document
                                )
                            )
                    ]
            | _ -> ()

        for effect in effects do
            match effect with
            | WriteEffect.LearnRoute(_, route) -> w <- adopt setting w op.Router route
            | _ -> ()

        settle setting w i

    /// A put that has its verdict: what follows.
    and private settle (setting: Setting) (w: World) (i: int) : World =
        let op = w.Ops[i]

        match op.WriteState with
        | Some state when op.IsPutting && not state.IsOpen ->
            match op.Phase, state.Verdict with
            | (Phase.Putting | Phase.Completing), WriteVerdict.Acknowledged _ ->
                let w = settled setting w i op
                Edit.withOp w i (ended op Phase.Acknowledged op.Document 0)
            | Phase.Putting, WriteVerdict.Inspect _ when not op.IsSecondTry ->
                Seen.mark Sometimes.WriterDeposedInMidWrite

                Edit.withOp
                    w
                    i
                    (Op(
                        Phase.Orphaned,
                        op.Router,
                        op.Shard,
                        op.Term,
                        op.Run,
                        op.Before,
                        None,
                        None,
                        None,
                        op.Document,
                        false,
                        0
                    ))
            | Phase.WriterPutBack, WriteVerdict.Acknowledged _ ->
                Seen.mark Sometimes.PutBack
                let w = settled setting w i op
                Edit.withOp w i (ended op Phase.Answered null (marksOf op.Document))
            | Phase.WriterPutBack, _ ->
                // Read again, while the term goes on.
                match writerOf w op, w.Routers[op.Router].Known[op.Shard] with
                | Some _, Some route ->
                    let read = WriterRead.start route.Route setting.Keys[setting.Operations[i].Key].Hash
                    Edit.withOp w i (asking op Phase.WriterRead op.Router op.Shard op.Term route read)
                | _ -> Edit.withOp w i (waiting op)
            | _ ->
                Seen.mark Sometimes.UnknownOutcome
                let w = remembered w op
                Edit.withOp w i (ended op Phase.Unknown null 0)
        | _ -> w

    /// A document is put under the router's route of the shard.
    let private put (setting: Setting) (w: World) (i: int) phase (document: Document) purpose isSecondTry value =
        let op = w.Ops[i]

        match w.Routers[op.Router].Known[op.Shard] with
        | None -> w
        | Some route ->
            let struct (state, effects) =
                WriteMachine.start route.Route document.Key.Hash document.Version purpose

            let op =
                Op(
                    phase,
                    op.Router,
                    op.Shard,
                    op.Term,
                    op.Run + 1,
                    op.Before,
                    Some route,
                    None,
                    Some state,
                    document,
                    isSecondTry,
                    value
                )

            perform setting (Edit.withOp w i op) i effects

    /// The writer gives a version of what the operation makes of the marks that are there, and puts it.
    let private putNew (setting: Setting) (w: World) (i: int) (found: int) (isSecondTry: bool) : World =
        let op = w.Ops[i]
        let script = setting.Operations[i]

        match writerOf w op with
        | None -> w
        | Some writer ->
            let clock = writer.Clock + 1L
            let w = Edit.withWriter w op.Router op.Shard (Some { writer with Clock = clock })

            let marks =
                match script.Kind with
                | Put -> 1 <<< script.Mark
                | Merge -> found ||| (1 <<< script.Mark)
                | Delete
                | Read -> 0

            let document =
                Documents.get setting script.Key { Term = writer.Term; Clock = clock } marks

            put setting w i Phase.Putting document PutPurpose.NewVersion isSecondTry 0

    /// The operations on the same key that had been answered when this one began, as bits.
    let private before (setting: Setting) (w: World) (i: int) =
        if w.Ops[i].Phase <> Phase.Idle then
            w.Ops[i].Before
        else
            let mutable all = 0

            for other in 0 .. w.Ops.Length - 1 do
                match w.Ops[other].Phase with
                | Phase.Acknowledged
                | Phase.Answered when setting.Operations[other].Key = setting.Operations[i].Key ->
                    all <- all ||| (1 <<< other)
                | _ -> ()

            all

    /// A write, or a read in the key's queue, begins at a writer.
    let beginAtWriter (setting: Setting) (w: World) (i: int) (r: int) (s: int) : World =
        let op = w.Ops[i]
        let script = setting.Operations[i]

        let before = before setting w i

        match w.Routers[r].Known[s], w.Routers[r].Writers[s] with
        | Some route, Some writer ->
            let at phase =
                Op(phase, r, s, writer.Term, op.Run, before, None, None, None, null, false, 0)

            let hash = setting.Keys[script.Key].Hash

            match script.Kind with
            | Put
            | Delete -> putNew setting (Edit.withOp w i (at Phase.Putting)) i 0 false
            | Merge ->
                Edit.withOp
                    w
                    i
                    (asking (at Phase.Basing) Phase.Basing r s writer.Term route (WriterRead.start route.Route hash))
            | Read ->
                Edit.withOp
                    w
                    i
                    (asking
                        (at Phase.WriterRead)
                        Phase.WriterRead
                        r
                        s
                        writer.Term
                        route
                        (WriterRead.start route.Route hash))
        | _ -> w

    /// A confirmed read begins, or begins again, at a router.
    let beginReading (setting: Setting) (w: World) (i: int) (r: int) (s: int) : World =
        let op = w.Ops[i]

        let before = before setting w i

        match w.Routers[r].Known[s] with
        | None -> w
        | Some route ->
            let read =
                ReadMachine.start route.Route setting.Keys[setting.Operations[i].Key].Hash

            Edit.withOp w i (Op(Phase.Reading, r, s, 0L, op.Run, before, Some route, Some read, None, null, false, 0))

    /// An operation whose term ended is taken up by the writer of the term that serves its key now.
    let inspect (setting: Setting) (w: World) (i: int) (r: int) (s: int) : World =
        let op = w.Ops[i]

        match w.Routers[r].Known[s], w.Routers[r].Writers[s] with
        | Some route, Some writer ->
            let read = WriterRead.start route.Route setting.Keys[setting.Operations[i].Key].Hash
            Edit.withOp w i (asking op Phase.Inspecting r s writer.Term route read)
        | _ -> w

    /// Nobody can tell any more what became of it.
    let giveUp (w: World) (i: int) : World =
        Seen.mark Sometimes.UnknownOutcome
        Edit.withOp w i (ended w.Ops[i] Phase.Unknown null 0)

    /// The read in a key's queue has its finding.
    let private found (setting: Setting) (w: World) (i: int) (finding: Finding) : World =
        let op = w.Ops[i]
        let key = setting.Keys[setting.Operations[i].Key]

        match op.Phase, writerOf w op, op.Document with
        | Phase.WriterRead, _, _ when finding.IsConfirmed || WorldFaults.writerDoesNotPutBack () ->
            Edit.withOp w i (ended op Phase.Answered null (marksOf finding.Document))
        | Phase.WriterRead, _, _ ->
            match finding.Document with
            | null -> Edit.withOp w i (ended op Phase.Answered null 0)
            | document -> put setting w i Phase.WriterPutBack document PutPurpose.PutBack false 0
        | Phase.Basing, Some writer, _ ->
            putNew setting w i (marksOf (writer.Issued.BaseOf(key, finding)).Document) false
        | Phase.Inspecting, Some writer, (NonNull issued) ->
            let found = writer.Issued.BaseOf(key, finding)

            match Inspection.decide issued.Version ValueNone found with
            | InspectionDecision.GiveUp _ -> giveUp w i
            | InspectionDecision.Complete ->
                Seen.mark Sometimes.InspectionCompletes

                if found.IsConfirmed then
                    Edit.withOp (settled setting w i op) i (ended op Phase.Acknowledged issued 0)
                else
                    put setting w i Phase.Completing issued PutPurpose.PutBack false 0
            | InspectionDecision.RunAgain ->
                Seen.mark Sometimes.InspectionRunsAgain
                putNew setting w i (marksOf found.Document) true
        | _ -> w

    let private withRead (op: Op) (read: ReadState option) =
        Op(
            op.Phase,
            op.Router,
            op.Shard,
            op.Term,
            op.Run,
            op.Before,
            op.Route,
            read,
            None,
            op.Document,
            op.IsSecondTry,
            op.Value
        )

    /// One answer to a read.
    let hearRead (setting: Setting) (w: World) (i: int) (input: ReadInput) : World =
        let op = w.Ops[i]

        match op.ReadState with
        | None -> w
        | Some state when op.Phase = Phase.Reading ->
            let next = ReadMachine.step state input
            let w = Edit.withOp w i (withRead op (Some next))

            match next.Verdict with
            | ReadVerdict.Asking -> w
            | ReadVerdict.Found finding -> Edit.withOp w i (ended op Phase.Answered null (marksOf finding.Document))
            | ReadVerdict.PassToWriter _ when WorldFaults.anyRouterPutsBack () ->
                match op.Route with
                | Some route ->
                    let read = WriterRead.start route.Route setting.Keys[setting.Operations[i].Key].Hash
                    Edit.withOp w i (asking op Phase.WriterRead op.Router op.Shard -1L route read)
                | None -> w
            | ReadVerdict.PassToWriter _ ->
                Seen.mark Sometimes.ReadPassedToWriter
                Edit.withOp w i (waiting op)
            | ReadVerdict.StartAgain(_, route) ->
                Seen.mark Sometimes.ReadStartsAgain

                let again =
                    Op(Phase.ReadAgain, op.Router, 0, 0L, op.Run, op.Before, None, None, None, null, false, 0)

                adopt setting (Edit.withOp w i again) op.Router route
        | Some state ->
            let struct (next, _) = WriterRead.step state input

            match next.Verdict with
            | ReadVerdict.Found finding -> found setting (Edit.withOp w i (withRead op (Some next))) i finding
            | ReadVerdict.StartAgain(_, route) ->
                // Afresh, once the router knows the newer route.
                adopt setting (Edit.withOp w i (withRead op None)) op.Router route
            | _ -> Edit.withOp w i (withRead op (Some next))

    /// The read in a key's queue begins afresh under the newer route.
    let readAfresh (setting: Setting) (w: World) (i: int) (route: RouteRef) : World =
        let op = w.Ops[i]
        let read = WriterRead.start route.Route setting.Keys[setting.Operations[i].Key].Hash
        Edit.withOp w i (asking op op.Phase op.Router op.Shard op.Term route read)
