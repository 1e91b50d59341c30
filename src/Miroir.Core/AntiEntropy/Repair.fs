namespace Miroir.Core

[<RequireQualifiedAccess>]
type Copy =
    | Has of (Document | null)
    | Rotten
    | Silent

[<RequireQualifiedAccess>]
type Mending =
    | Nothing
    | Put of Document
    | Replace of Document * Wrong: Digest
    | PutAndReplace of Document

[<RequireQualifiedAccess>]
type RepairPlan =
    | Send of Version: DocumentVersion * Mendings: Mending[]
    | Impossible of Why: string

[<RequireQualifiedAccess>]
module Repair =

    /// A deletion that has content, or a document that has none, is nothing that anybody put.
    let private sane (copy: Copy) : Copy =
        match copy with
        | Copy.Has held ->
            match held with
            | null -> copy
            | document when document.IsTombstone <> (document.Entry.Digest = Digest.Tombstone) -> Copy.Rotten
            | _ -> copy
        | Copy.Rotten
        | Copy.Silent -> copy

    let private documentOf (copy: Copy) : Document voption =
        match copy with
        | Copy.Has held ->
            match held with
            | null -> ValueNone
            | document -> ValueSome document
        | Copy.Rotten
        | Copy.Silent -> ValueNone

    let private isAnswer (copy: Copy) =
        match copy with
        | Copy.Has _ -> true
        | Copy.Rotten
        | Copy.Silent -> false

    let majority (digests: Digest[]) : Digest voption =
        digests
        |> Array.countBy id
        |> Array.tryFind (fun (_, count) -> count * 2 > digests.Length)
        |> function
            | Some(digest, _) -> ValueSome digest
            | None -> ValueNone

    let private mend (best: Document) (copy: Copy) : Mending =
        match copy with
        | Copy.Silent -> Mending.Nothing
        | Copy.Rotten -> Mending.PutAndReplace best
        | Copy.Has held ->
            match held with
            | null -> Mending.Put best
            | document when document.Version < best.Version -> Mending.Put best
            | document when document.Entry.Digest <> best.Entry.Digest -> Mending.Replace(best, document.Entry.Digest)
            | _ -> Mending.Nothing

    let plan (sets: int[][]) (copies: Copy[]) (keep: Digest voption) : RepairPlan =
        let copies = copies |> Array.map sane

        let hasQuorum (set: int[]) =
            let answers = set |> Array.filter (fun i -> isAnswer copies[i]) |> Array.length
            let rotten = set |> Array.exists (fun i -> copies[i].IsRotten)
            // A rotten copy's version is not known: the others must outnumber it in every write quorum.
            answers >= Quorum.write set.Length
            || rotten && answers >= Quorum.barrier set.Length

        if
            sets.Length = 0
            || not (Array.forall hasQuorum sets || Mutants.repairWithoutQuorum ())
        then
            RepairPlan.Impossible "too few replicas answered to tell the highest version"
        else
            let documents =
                copies
                |> Array.choose (fun copy ->
                    match documentOf copy with
                    | ValueSome document -> Some document
                    | ValueNone -> None)

            if documents.Length = 0 then
                if copies |> Array.exists _.IsRotten then
                    RepairPlan.Impossible "no replica has content that can be trusted"
                else
                    RepairPlan.Send(DocumentVersion.Zero, Array.create copies.Length Mending.Nothing)
            else
                let versions = documents |> Array.map _.Version

                let version =
                    if Mutants.repairByTheLowest () then
                        Array.min versions
                    else
                        Array.max versions

                let highest = documents |> Array.filter (fun d -> d.Version = version)
                let contents = highest |> Array.map _.Entry.Digest

                let chosen =
                    match keep with
                    | ValueSome digest when Array.contains digest contents -> ValueSome digest
                    | _ when (Array.distinct contents).Length = 1 -> ValueSome contents[0]
                    | _ when Mutants.healedByTheFirst () -> ValueSome contents[0]
                    | _ -> majority contents

                match chosen with
                | ValueNone ->
                    RepairPlan.Impossible
                        $"{highest.Length} copies of {version} differ, and none is the majority's: say which to keep"
                | ValueSome digest ->
                    let best = highest |> Array.find (fun d -> d.Entry.Digest = digest)
                    let sent = best.WithOrigin Origin.AntiEntropy
                    RepairPlan.Send(version, copies |> Array.map (mend sent))
