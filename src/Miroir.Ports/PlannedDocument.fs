namespace Miroir.Ports

open System
open Miroir.Core

/// What must hold of a document that a plan names, whoever reads the plan.
[<RequireQualifiedAccess>]
module PlannedDocument =

    /// The kinds of difference that a repair heals.
    let kinds = [| "Missing"; "Stale"; "LacksTombstone"; "Corrupt" |]

    /// Documents that a plan may have: as many as a pass lists.
    [<Literal>]
    let MaxCount = 10_000

    let private isDigest (text: string) =
        text = "" || text.Length = 32 && text |> Seq.forall Char.IsAsciiHexDigit

    /// A document read from JSON may lack what its type promises.
    let private has (text: string) = not (obj.ReferenceEquals(text, null))

    /// The first field that is wrong, and in words how; none where the document is well-formed.
    let problem (document: DivergenceView) : struct (string * string) voption =
        let wrong field expected = ValueSome(struct (field, expected))

        if not (has document.Key) then
            wrong "key" "must be text"
        else
            match Key.Parse document.Key with
            | Error why -> wrong "key" $"is none: {why}"
            | Ok _ ->
                if document.Generation < 1 then
                    wrong "generation" $"must be a layout's generation, from 1 on, not {document.Generation}"
                elif document.Shard < 0 || document.Shard >= Layout.MaxShards then
                    wrong "shard" $"must be 0 to {Layout.MaxShards - 1}, not {document.Shard}"
                elif not (has document.Kind && Array.contains document.Kind kinds) then
                    let known = String.Join(", ", kinds)
                    wrong "kind" $"must be one of {known}, not \"{document.Kind}\""
                elif not (has document.Version && (DocumentVersion.TryParse document.Version).IsSome) then
                    wrong "version" $"must be term.clock such as 1.117652365836091393, not \"{document.Version}\""
                elif not (has document.Keep && isDigest document.Keep) then
                    wrong "keep" $"must be 32 hexadecimal digits, or empty, not \"{document.Keep}\""
                elif
                    obj.ReferenceEquals(document.Lacking, null)
                    || document.Lacking |> Array.exists (has >> not)
                then
                    wrong "lacking" "must be a list of texts"
                elif not (has document.Outcome) then
                    wrong "outcome" "must be text"
                else
                    ValueNone
