namespace Miroir.Core.Cutover

open System
open Miroir.Core
open Miroir.Core.Cutover

/// While a source is kept behind a shard that has switched: for the time that an operator gave, or until anti-entropy
/// has certified what no delta pass did. In Switched every acknowledged write is on a write quorum of both sides, so
/// either may be lost, and the other goes on.
[<RequireQualifiedAccess>]
module internal Keeping =

    /// Without an answer for long, or without its store.
    let private isGone (d: Draft) (m: Member) =
        (m.Chore Watching).Failures >= d.State.Limits.MaxDeltaFailures

    /// A write quorum of every target is what it was when it was compared.
    let private isProven (move: Move) =
        move.Takers
        |> Array.forall (fun members ->
            (members |> Array.filter (fun m -> m.Is(Passing, Done))).Length
            >= Quorum.write members.Length)

    let private isQuorumGone (d: Draft) (members: Member[]) =
        (members |> Array.filter (isGone d >> not)).Length < Quorum.write members.Length

    let private explain (d: Draft) i (why: string) =
        if (d.Move i).Reason <> why then
            d.ChangeMove i (fun m -> { m with Reason = why })

    let private watch (d: Draft) i =
        let route = d.SourceRoute i

        for m in
            Seq.append (Move.takers (d.Move i)) (d.Move i).Owners
            |> Seq.distinctBy _.Replica do
            d.Ensure i m Watching (fun () ->
                RaiseBarrier(
                    m.Replica.Node,
                    {
                        Stamp = route.Stamp
                        Store = m.Replica.Store
                        Route = Some route
                    }
                ))

    /// Everything that looked after it ends, and the source may retire.
    let release (d: Draft) i =
        d.Withdraw(function
            | ForChore(m, _, Watching)
            | ForRest(m, _, Watching) -> m = i
            | _ -> false)

        d.ChangeMove i (Move.forget [ Checking; Watching ])
        d.SetStep i Reproving

    /// The time to keep sources is over at once, for all of the migration's.
    let private endRetention (d: Draft) =
        d.Withdraw(fun purpose -> purpose = ForRetention)
        d.State <- { d.State with RetentionTimer = -1L }

    let holding (d: Draft) i (mayRetire: bool) =
        let isReleased = Proof.isReleased (d.Move i)
        let isRetained = d.State.RetentionTimer > 0L

        if isReleased && not isRetained then
            if mayRetire then
                release d i
        else
            watch d i
            let move = d.Move i
            let areOwnersGone = isQuorumGone d move.Owners

            if isReleased && not (isProven move) then
                Filling.fallBack d i "a target lost its store while the source was kept" false
            else

                match move.Takers |> Array.exists (isQuorumGone d), areOwnersGone with
                | true, false ->
                    Filling.fallBack
                        d
                        i
                        "the targets gave no answer for long while the source was kept: the old owners have the shard again; say cutover when they are back"
                        true
                | true, true -> explain d i "neither the old owners nor the targets answer: it stays as it is"
                | false, true when isReleased ->
                    endRetention d
                    explain d i "the old owners are lost: it goes on without them, and there is no way back"
                | false, true ->
                    explain
                        d
                        i
                        "the old owners are lost before anti-entropy has compared them: only what the targets hold is left"
                | false, false when not isReleased ->
                    explain
                        d
                        i
                        "the delta pass was skipped: the source is kept until anti-entropy has certified every target of this shard; 'anti-entropy run' does it now, 'routing revert' goes back"
                | false, false -> explain d i ""
