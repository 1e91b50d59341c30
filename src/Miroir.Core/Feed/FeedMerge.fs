namespace Miroir.Core

open System.Collections.Generic

[<Struct>]
type FeedPage = { Node: string; Page: ChangesPage }

type FeedCut = {
    Changes: Change[]
    Reached: DocumentVersion
}

[<RequireQualifiedAccess>]
type FeedFault =
    | Disordered of Node: string * Why: string
    | TooOld of Floor: DocumentVersion

[<RequireQualifiedAccess>]
module FeedMerge =

    let private order (a: Change) (b: Change) =
        match compare a.Position b.Position with
        | 0 -> a.Key.CompareTo b.Key
        | order -> order

    let private fault (range: HashRange) (after: DocumentVersion) (through: DocumentVersion) (sent: FeedPage) =
        let page = sent.Page

        let wrongAt (i: int) =
            let change = page.Changes[i]

            if change.Position <= after || change.Position > through then
                Some $"change {change} is not behind {after} and up to {through}"
            elif not (range.Contains change.Key) then
                Some $"change {change} is not of the range {range}"
            elif i > 0 && order page.Changes[i - 1] change >= 0 then
                Some $"change {change} came behind {page.Changes[i - 1]}, out of order"
            else
                None

        if page.Changes.Length = 0 && not page.IsLast then
            Some "an empty page that is not the last one"
        else
            Seq.init page.Changes.Length wrongAt |> Seq.tryPick id

    /// How far a page is known to be whole.
    let private endOf (through: DocumentVersion) (sent: FeedPage) =
        if sent.Page.IsLast then
            through
        else
            sent.Page.Changes[sent.Page.Changes.Length - 1].Position

    let private union (above: DocumentVersion) (until: DocumentVersion) (pages: FeedPage[]) =
        let all = SortedSet<Change>(Comparer.Create order)

        for sent in pages do
            for change in sent.Page.Changes do
                if change.Position > above && change.Position <= until then
                    all.Add change |> ignore

        Seq.toArray all

    let cut (range: HashRange) (after: DocumentVersion) (through: DocumentVersion) (limit: int) (pages: FeedPage[]) =
        let wrong =
            pages
            |> Array.tryPick (fun sent -> fault range after through sent |> Option.map (fun why -> sent.Node, why))

        let floor =
            pages
            |> Array.fold (fun floor sent -> max floor sent.Page.Floor) DocumentVersion.Zero

        match wrong with
        | Some(node, why) -> Error(FeedFault.Disordered(node, why))
        | None when not after.IsZero && after < floor -> Error(FeedFault.TooOld floor)
        | None ->
            let known =
                pages |> Array.fold (fun until sent -> min until (endOf through sent)) through

            let all = union floor known pages
            let limit = max 1 limit

            if all.Length <= limit then
                let reached =
                    if not after.IsZero || floor <= known then known
                    // What begins with the oldest begins behind every floor.
                    elif floor <= through then floor
                    else DocumentVersion.Zero

                Ok { Changes = all; Reached = reached }
            else
                let mutable count = limit

                // Back to where a position begins, or else forth to where it ends.
                while count > 0 && all[count].Position = all[count - 1].Position do
                    count <- count - 1

                if count = 0 then
                    count <- 1

                    while count < all.Length && all[count].Position = all[0].Position do
                        count <- count + 1

                Ok {
                    Changes = Array.truncate count all
                    Reached = all[count - 1].Position
                }
