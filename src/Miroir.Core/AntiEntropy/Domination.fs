namespace Miroir.Core

type Divergence =
    | Dominated
    | Missing
    | Stale of Held: DocumentVersion
    | LacksTombstone of Held: DocumentVersion
    | Differs

    member this.IsLacking =
        match this with
        | Dominated
        | Differs -> false
        | Missing
        | Stale _
        | LacksTombstone _ -> true

[<RequireQualifiedAccess>]
module Divergence =

    let between (best: Entry) (held: Entry | null) : Divergence =
        match held with
        | null when best.IsTombstone -> LacksTombstone DocumentVersion.Zero
        | null -> Missing
        | entry when entry.Version < best.Version ->
            if best.IsTombstone then
                LacksTombstone entry.Version
            else
                Stale entry.Version
        | entry when
            entry.Version = best.Version
            && (entry.IsTombstone <> best.IsTombstone || entry.Digest <> best.Digest)
            ->
            Differs
        | _ -> Dominated

type DominationStep =
    | Judged of Divergence
    | FeedTarget
    | TargetOutOfOrder of Previous: Key * Next: Key

[<Sealed>]
type Domination(target: IEntryCursor) =
    let mutable previous: Key | null = null

    let isBehind (key: Key) =
        match previous with
        | null -> true
        | before -> before.CompareTo key < 0

    let step (entry: Entry) =
        previous <- entry.Key
        target.Pop()

    member _.Judge(best: Entry) : DominationStep =
        let rec judge () =
            match target.Peek() with
            | Starved -> FeedTarget
            | Ended -> Judged(Divergence.between best null)
            | At entry when not (isBehind entry.Key) -> TargetOutOfOrder(nonNull previous, entry.Key)
            | At entry ->
                match entry.Key.CompareTo best.Key with
                | order when order < 0 ->
                    step entry
                    judge ()
                | 0 ->
                    step entry
                    Judged(Divergence.between best entry)
                | _ -> Judged(Divergence.between best null)

        judge ()
