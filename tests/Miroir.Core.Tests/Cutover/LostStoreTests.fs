/// What becomes of a migration where an owner that stays, as a member of a target, loses its store.
module Miroir.Core.Tests.LostStoreTests

open System
open NUnit.Framework
open Miroir.Core
open Miroir.Core.Cutover
open Miroir.Core.Tests.Run
open Miroir.Core.Tests.TransitionTests

let private incarnation = Guid(1, 2s, 3s, Array.zeroCreate 8)

let private passOn nodes action =
    match action with
    | Reconcile(node, command) -> command.Mode = ReconcileMode.Delta && List.contains node nodes
    | _ -> false

[<Test>]
let ``a merge is of a barrier's quorum of owners, although one that is compared as a target has lost its store`` () =
    let ready =
        rebalance [| "a"; "b"; "c" |] [| "c"; "d"; "e" |] Limits.Default
        |> started
        |> until (isAt Ready)

    let mutable state =
        ready |> told (Ordered Order.Cutover) |> fst |> until (isAt Draining)

    let answer (pick: Action -> bool) answer =
        for effect in Transition.outstanding state do
            if pick effect.Action then
                state <- state |> told (Answered(effect.Sequence, answer effect)) |> fst

    let barrierOn nodes action =
        match action with
        | RaiseBarrier(node, _) -> List.contains node nodes
        | _ -> false

    answer (barrierOn [ "a"; "c" ]) (fun effect -> pleasing effect incarnation)
    answer _.IsAskWriter (fun effect -> pleasing effect Guid.Empty)
    Assert.That(isAt DeltaPass state, Is.True)
    answer (passOn [ "c" ]) (fun _ -> ReconcileAnswered ReconcileNotServing)
    answer (passOn [ "d"; "e" ]) (fun _ -> Unreachable "cut off")
    answer _.IsWait (fun _ -> Elapsed)

    let merges =
        Transition.outstanding state
        |> List.choose (fun effect ->
            match effect.Action with
            | Reconcile(_, command) when command.Mode = ReconcileMode.Delta -> Some command.Sources.Length
            | _ -> None)

    Assert.That(merges, Has.Length.EqualTo 3)
    Assert.That(merges, Is.All.GreaterThanOrEqualTo(Quorum.barrier 3))

[<Test>]
let ``a migration goes on without an owner that lost its store, where the other members are enough`` () =
    let plan = rebalance [| "a"; "b"; "c" |] [| "b"; "c"; "d" |] Limits.Default

    let rec finish steps (state: State) =
        match Transition.outstanding state |> List.partition _.Action.IsWait with
        | _ when state.IsEnded || steps = 0 -> state
        | timers, others ->
            let effect = List.head (others @ timers)

            let answer =
                match effect.Action with
                | RaiseBarrier("c", _) -> BarrierAnswered ConfirmedNotServing
                | action when passOn [ "c" ] action -> ReconcileAnswered ReconcileNotServing
                | _ -> pleasing effect incarnation

            state |> told (Answered(effect.Sequence, answer)) |> fst |> finish (steps - 1)

    let ready = started plan |> until (isAt Ready)
    let ended = ready |> told (Ordered Order.Cutover) |> fst |> finish 1000
    Assert.That((ended.Status = Complete), Is.True, $"%A{ended.Moves[0].Step}")
