namespace Miroir.Core

[<Struct>]
type UpdateBase = {
    Document: Document | null
    Version: DocumentVersion
    IsConfirmed: bool
}

/// The last version issued for a key, and the first that may still come.
[<Struct>]
type private Unsettled = {
    Document: Document
    Since: DocumentVersion
}

[<Sealed>]
type Issued private (capacity: int, documents: Map<Key, Unsettled>) =

    static member Empty(capacity: int) =
        if capacity < 1 then
            invalidArg "capacity" $"must be 1 or more, not {capacity}"

        Issued(capacity, Map.empty)

    member _.Count = documents.Count
    member _.Capacity = capacity

    member _.Documents =
        documents |> Map.toArray |> Array.map (fun (_, known) -> known.Document)

    member _.Since: DocumentVersion voption =
        documents
        |> Map.fold
            (fun since _ known ->
                match since with
                | ValueSome version when not (Versions.isLater version known.Since) -> since
                | _ -> ValueSome known.Since)
            ValueNone

    member _.HasRoomFor(key: Key) =
        documents.Count < capacity || documents.ContainsKey key

    member _.TryFind(key: Key) : Document | null =
        match documents.TryFind key with
        | Some known -> known.Document
        | None -> null

    member this.Remember(document: Document) =
        match documents.TryFind document.Key with
        | Some known when not (Versions.isLater document.Version known.Document.Version) -> this
        | Some known -> Issued(capacity, documents.Add(document.Key, { known with Document = document }))
        | None ->
            let only = {
                Document = document
                Since = document.Version
            }

            Issued(capacity, documents.Add(document.Key, only))

    member this.Settle(key: Key, acknowledged: DocumentVersion) =
        match documents.TryFind key with
        | Some known when not (Versions.isLater known.Document.Version acknowledged) ->
            Issued(capacity, documents.Remove key)
        | Some known when Versions.isLater acknowledged known.Since ->
            Issued(capacity, documents.Add(key, { known with Since = acknowledged }))
        | _ -> this

    member _.BaseOf(key: Key, finding: Finding) : UpdateBase =
        match documents.TryFind key with
        | Some { Document = issued } when
            Versions.isLater issued.Version finding.Version
            && not (Mutants.baseRuleLeftOut ())
              ->
              {
                  Document = issued
                  Version = issued.Version
                  IsConfirmed = false
              }
        | _ -> {
            Document = finding.Document
            Version = finding.Version
            IsConfirmed = finding.IsConfirmed
          }
