namespace Miroir.Core.Cutover

open System
open Miroir.Core
open Miroir.Core.Cutover

/// The end of a source's route: proof once more, the last barrier, and what is deleted.
[<RequireQualifiedAccess>]
module internal Ending =

    /// The certificate as it was given, held by as many of the same incarnations still.
    let reproving (d: Draft) i =
        let more = if Mutants.termNotRaisedAtRetirement () then 0L else 1L

        match Proof.check d i with
        | None -> ()
        | Some holders when Proof.isProven (d.Move i) holders ->
            let route = d.SourceRoute i

            let ended = {
                route with
                    Epoch = route.Epoch + 1L
                    Stage = Retired
            }

            let changes =
                if d.State.Plan.KeepsLayout then
                    [|
                        {
                            Shard = route.Shard
                            FromEpoch = route.Epoch
                            Route =
                                Some {
                                    ended with
                                        Stage = Owned
                                        Owners = (d.Move i).Targets[0].Nodes
                                        Targets = [||]
                                        Fences = [||]
                                        Migration = 0L
                                        Writer = {
                                            route.Writer with
                                                Term = route.Writer.Term + more
                                        }
                                }
                        }
                    |]
                else
                    [|
                        yield {
                            Shard = route.Shard
                            FromEpoch = route.Epoch
                            Route = Some ended
                        }
                        for target in (d.Move i).Targets do
                            yield
                                match d.State.Routes.TryFind target.Shard with
                                | Some known -> {
                                    Shard = target.Shard
                                    FromEpoch = known.Epoch
                                    Route =
                                        Some {
                                            known with
                                                Epoch = known.Epoch + 1L
                                                Fences = Array.append known.Fences [| ended.Stamp |]
                                                Writer = {
                                                    known.Writer with
                                                        Term = max known.Writer.Term route.Writer.Term + more
                                                }
                                        }
                                  }
                                | None -> {
                                    Shard = target.Shard
                                    FromEpoch = 0L
                                    Route =
                                        Some {
                                            Shard = target.Shard
                                            Range = target.Range
                                            Epoch = 1L
                                            Stage = Owned
                                            Owners = target.Nodes
                                            Targets = [||]
                                            Writer = {
                                                route.Writer with
                                                    Term = route.Writer.Term + more
                                            }
                                            Fences = [| ended.Stamp |]
                                            Migration = 0L
                                        }
                                  }
                    |]

            if d.Publish changes None then
                d.SetStep i Retiring
        | Some _ ->
            Filling.fallBack d i "a target lost its store, or could not be asked, before the source was to retire" false

    let closing (d: Draft) i =
        let route = d.SourceRoute i

        for m in
            (if Mutants.retiringBarrierLeftOut () then
                 [||]
             else
                 Move.takers (d.Move i)) do
            d.Ensure i m Ending (fun () ->
                RaiseBarrier(
                    m.Replica.Node,
                    {
                        Stamp = route.Stamp
                        Store = m.Replica.Store
                        Route = Some route
                    }
                ))

        if
            Mutants.retiringBarrierLeftOut ()
            || (d.Move i).Takers
               |> Array.forall (fun members ->
                   (members |> Array.filter (fun m -> m.Is(Ending, Done))).Length
                   >= Quorum.barrier members.Length)
        then
            d.SetStep i Cleaning

    /// Drops what `pick` names; true when none is left to wait for. Staging is dropped in whichever incarnation: it was
    /// made for this migration, and a late making may have put another in its place.
    let dropAll (d: Draft) i (pick: Move -> Member[]) (isStaging: bool) =
        let route = d.SourceRoute i
        let move = d.Move i

        for m in pick move do
            if (m.Chore Dropping).Failures < d.State.Limits.MaxDropFailures then
                d.Ensure i m Dropping (fun () ->
                    DropStore(
                        m.Replica.Node,
                        {
                            Stamp = route.Stamp
                            Store = m.Replica.Store
                            Incarnation =
                                (if isStaging || Mutants.cleanupOfAnyIncarnation () then
                                     Guid.Empty
                                 else
                                     m.Incarnation)
                            Migration =
                                (if isStaging && not (Mutants.cleanupOfAnyIncarnation ()) then
                                     d.State.Plan.Migration
                                 else
                                     0L)
                        }
                    ))

        let left = pick (d.Move i) |> Array.filter (fun m -> not (m.Is(Dropping, Done)))

        if
            left
            |> Array.forall (fun m -> (m.Chore Dropping).Failures >= d.State.Limits.MaxDropFailures)
        then
            d.ChangeMove i (fun m -> {
                m with
                    Leftovers = Array.append m.Leftovers (left |> Array.map _.Replica) |> Array.distinct
            })

            true
        else
            false
